/** Runs a program until it succeeds: `auto-restart <command> [args...]`. */
import { runChild } from "../lib/container/run_child.ts";
import { supervise, UNTIL_SUCCESS } from "../lib/container/supervise.ts";

const [program, ...args] = Deno.args;
if (program === undefined) {
  console.error("error[USAGE]: No command was given. Usage: auto-restart <command> [args...]");
  Deno.exit(1);
}
const stop = new AbortController();
for (const [signal, exitCode] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.addSignalListener(signal, () => stop.abort(exitCode));
}
const code = await supervise({
  run: (signal) => runChild(program, args, signal),
  rules: UNTIL_SUCCESS,
  signal: stop.signal,
  onExit({ code, again }) {
    if (again) console.error(`"${Deno.args.join(" ")}" ended with exit code ${code}; again in 1 s`);
  },
});
Deno.exit(stop.signal.aborted ? stop.signal.reason : code);
