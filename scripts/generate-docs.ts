/** Writes docs/commands.md out of the commands' own definitions. */
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type AnyCommand, commandsMarkdown } from "../lib/cli/command_docs.ts";
import { COMMAND_TABLE, scriptOf } from "../lib/cli/command_table.ts";
import { defineCommand } from "../lib/cli/command.ts";
import { toggle } from "../lib/cli/flag.ts";
import { TRAIN_COMMAND } from "../lib/cli/train_flags.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { PsycheError } from "../lib/error.ts";

const SCRIPTS = dirname(fileURLToPath(import.meta.url));
const TARGET = join(dirname(SCRIPTS), "docs", "commands.md");

/** All scripts that export their definition: in the order of the table, the others after them. */
export async function definitions(): Promise<AnyCommand[]> {
  const files = [...Deno.readDirSync(SCRIPTS)].map(({ name }) => name).sort();
  const known = COMMAND_TABLE.map((entry) => `${scriptOf(entry)}.ts`);
  const ordered = [...new Set([...known, ...files])].filter((name) => files.includes(name));
  const found: AnyCommand[] = [];
  for (const name of ordered) {
    const path = join(SCRIPTS, name);
    // Its script would bring the whole engine with it.
    if (name === "train.ts") found.push({ ...TRAIN_COMMAND, run: () => Promise.resolve() });
    if (!/^export const command = defineCommand/m.test(await Deno.readTextFile(path))) continue;
    const module = await import(pathToFileURL(path).href);
    found.push(module.command);
  }
  return found;
}

if (import.meta.main) {
  await runCommand(defineCommand({
    name: "generate-docs",
    summary: "Writes docs/commands.md out of the commands' own definitions.",
    examples: [["deno task generate-docs --check", "fail when the file is not up to date"]],
    flags: { check: toggle({ summary: "write nothing, only compare", environment: [] }) },
    async run({ settings, output }) {
      const commands = await definitions();
      const text = commandsMarkdown(commands);
      const result = { file: "docs/commands.md", commands: commands.length };
      if (settings.check) {
        const present = await Deno.readTextFile(TARGET).catch(() => "");
        if (present === text) return output.result(result, [`${result.file} is up to date`]);
        const code = "DOCS_OUTDATED";
        throw new PsycheError(code, `${result.file} is not up to date; run generate-docs.`);
      }
      await Deno.writeTextFile(`${TARGET}.tmp`, text);
      await Deno.rename(`${TARGET}.tmp`, TARGET);
      output.result(result, [`${result.commands} commands written to ${result.file}`]);
    },
  }));
}
