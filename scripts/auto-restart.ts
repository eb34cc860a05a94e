/** Runs a program until it succeeds: `auto-restart <command> [args...]`; docs/protocol/commands.md section 3.4. */
import { runChild } from "../lib/container/run_child.ts";
import { supervise, UNTIL_SUCCESS } from "../lib/container/supervise.ts";
import { PsycheError } from "../lib/error.ts";

const USAGE = `Usage: auto-restart <command> [args...]

Runs a program again, a second after it has failed, until it succeeds. Ctrl+C ends both.`;

const [program, ...args] = Deno.args;
if (program === "--help" || program === "-h") {
  console.log(USAGE);
  Deno.exit(0);
}
if (program === undefined) {
  console.error(`error[USAGE]: No command was given. ${USAGE}`);
  Deno.exit(1);
}
const stop = new AbortController();
for (const [signal, exitCode] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.addSignalListener(signal, () => stop.abort(exitCode));
}
try {
  const code = await supervise({
    run: (signal) => runChild(program, args, signal),
    rules: UNTIL_SUCCESS,
    signal: stop.signal,
    onExit({ code, again }) {
      if (!again) return;
      console.error(`"${Deno.args.join(" ")}" ended with exit code ${code}; again in 1 s`);
    },
  });
  Deno.exit(stop.signal.aborted ? stop.signal.reason : code);
} catch (error) {
  if (!(error instanceof PsycheError)) throw error;
  console.error(`error[${error.code}]: ${error.message}`);
  Deno.exit(error.exitCode);
}
