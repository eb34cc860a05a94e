/** Runs a command by its name: `psyche create-run ...` is `deno task create-run ...`. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { commandLine } from "../lib/cli/command_line.ts";
import { findCommand, isSameName, overview, usage } from "../lib/cli/dispatch.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const CONFIG = join(ROOT, "deno.json");

/** Commands that are tasks and nothing else. */
async function tasks(): Promise<Record<string, { description: string }>> {
  return JSON.parse(await Deno.readTextFile(CONFIG)).tasks;
}

/** The child keeps its own, narrow permissions; its exit code becomes ours. */
async function dispatch(name: string, args: string[]): Promise<number> {
  const entry = findCommand(name);
  const task = Object.keys(await tasks()).find((it) => isSameName(it, name));
  if (entry === undefined && task === undefined) {
    console.error(usage(name));
    return 2;
  }
  const child = new Deno.Command(Deno.execPath(), {
    args: entry === undefined
      ? ["task", "--quiet", `--config=${CONFIG}`, task!, ...args]
      : commandLine(entry.name, args),
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  // Ctrl+C reaches the child by itself; this process only has to outlive it.
  Deno.addSignalListener("SIGINT", () => {});
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGTERM", () => child.kill("SIGTERM"));
  }
  return (await child.status).code;
}

if (import.meta.main) {
  const [name, ...args] = Deno.args;
  if (name === undefined || name === "--help" || name === "-h") {
    console.log(overview(await tasks()));
    Deno.exit(0);
  }
  Deno.exit(await dispatch(name, args));
}
