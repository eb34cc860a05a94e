/** Finds a command by the name that was typed, and says what there is when it is none. */
import { COMMAND_TABLE, type CommandEntry, scriptOf } from "./command_table.ts";
import { tableLines } from "./table.ts";

/** With the other separator, or as the script file that it once was: `fund-accounts`, `fund_accounts.sh`. */
export function isSameName(a: string, b: string): boolean {
  const plain = (name: string) => name.replace(/\.(sh|ts)$/, "").replaceAll("_", "-");
  return plain(a) === plain(b);
}

export function findCommand(typed: string): Required<CommandEntry> | undefined {
  const entry = COMMAND_TABLE.find(({ name }) => isSameName(name, typed));
  return entry && { ...entry, script: scriptOf(entry), args: entry.args ?? [] };
}

/** What can be run: commands without their short names, and other tasks. */
export function overview(tasks: Record<string, { description: string }>): string {
  const commands = COMMAND_TABLE.filter(({ args }) => args === undefined);
  const others = Object.entries(tasks)
    .filter(([name]) => name !== "psyche" && !commands.some((it) => it.name === name))
    .map(([name, { description }]) => ({ name, summary: description }));
  const rows = [...commands, ...others].map(({ name, summary }) => [`  ${name}`, summary]);
  return [
    "psyche COMMAND [flags]   (COMMAND --help shows its flags)",
    "",
    ...tableLines(["", ""], rows).slice(1),
  ].join("\n");
}

/** The answer to an unknown name: the nearest ones. */
export function usage(typed: string): string {
  const near = COMMAND_TABLE.map(({ name }) => ({ name, distance: editDistance(typed, name) }))
    .sort((a, b) => a.distance - b.distance)
    .filter(({ distance }, i) => i < 3 && distance <= 6)
    .map(({ name }) => name);
  const hint = near.length === 0 ? "" : ` Did you mean ${near.join(", ")}?`;
  return `error[USAGE]: psyche: "${typed.slice(0, 60)}" is no command.${hint} ` +
    `"psyche --help" lists all.`;
}

/** Letters to insert, delete or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= Math.min(a.length, 60); i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
