/** A command of the table as a process of its own. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { COMMAND_TABLE, scriptOf } from "./command_table.ts";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * Arguments for `Deno.execPath()` that run a command with the permissions of its task, from whichever
 * folder: what the task names by a path of the checkout is named by its whole path here.
 *
 * @param args of the command, after those that a short name brings along
 * @param options.runFlags more flags of `deno run`, for example `--cached-only`
 */
export function commandLine(
  name: string,
  args: string[] = [],
  { runFlags = [] }: { runFlags?: string[] } = {},
): string[] {
  const entry = COMMAND_TABLE.find((it) => it.name === name);
  if (entry === undefined) throw new RangeError(`there is no command ${name}`);
  return [
    "run",
    "--quiet",
    ...runFlags,
    ...entry.permissions.map((flag) =>
      flag.replace("=node_modules", `=${join(ROOT, "node_modules")}`)
    ),
    `--config=${join(ROOT, "deno.json")}`,
    join(ROOT, "scripts", `${scriptOf(entry)}.ts`),
    ...entry.args ?? [],
    ...args,
  ];
}
