/** Trains, and starts the client again when it fails; the production container's process. */
import { commandLine } from "../lib/cli/command_line.ts";
import { CLIENT_RESTARTS, supervise } from "../lib/container/supervise.ts";
import { runChild } from "../lib/container/run_child.ts";

const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.addSignalListener(signal, () => stop.abort());
}

const missing = ["RPC", "WS_RPC", "RUN_ID"].filter((name) => !Deno.env.get(name));
const asksOnly = Deno.args.some((arg) => ["--help", "-h", "--show-config"].includes(arg));
if (missing.length > 0 && !asksOnly) {
  for (const name of missing) {
    console.error(`error[SETTING_MISSING]: ${name} is not set; put it into the env file.`);
  }
  Deno.exit(1);
}

const train = commandLine("train", Deno.args, { runFlags: ["--cached-only"] });
const code = await supervise({
  run(signal) {
    if (!asksOnly) console.error(`joining run ${Deno.env.get("RUN_ID")}`);
    return runChild(Deno.execPath(), train, signal);
  },
  rules: CLIENT_RESTARTS,
  signal: stop.signal,
  onExit({ code, milliseconds, failures, again }) {
    if (asksOnly) return;
    console.error(
      `the client ended with exit code ${code} after ${Math.round(milliseconds / 1000)} s`,
    );
    if (code === 10) {
      console.error("version mismatch: this image is not the one that the run wants");
    }
    if (again) console.error(`starting it again in 5 s (${failures} short runs in a row)`);
    else if (failures >= CLIENT_RESTARTS.maxFailures) console.error("giving up");
  },
});
Deno.exit(code);
