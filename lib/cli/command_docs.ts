/** The reference of all commands in Markdown, out of the commands' own definitions. */
import type { CommandDefinition } from "./command.ts";
import { COMMON_FLAGS } from "./command.ts";
import { COMMAND_TABLE } from "./command_table.ts";
import { environmentNames, type Flag, flagName, type Flags } from "./flag.ts";
import {
  CLUSTER_FLAGS,
  PROGRAM_FLAGS,
  SEND_FLAGS,
  TREASURER_FLAG,
  WALLET_FLAGS,
} from "./flag_sets.ts";

const SHARED: { title: string; flags: Flags; note: string }[] = [
  { title: "Cluster", flags: CLUSTER_FLAGS, note: "which cluster, and where to ask when it fails" },
  { title: "Wallet", flags: WALLET_FLAGS, note: "whose key signs and pays" },
  { title: "Programs", flags: PROGRAM_FLAGS, note: "program ids other than the known ones" },
  { title: "Sending", flags: SEND_FLAGS, note: "trying, confirming and paying" },
  { title: "Treasurer", flags: TREASURER_FLAG, note: "for runs with rewards" },
  { title: "Common", flags: COMMON_FLAGS, note: "every command has these" },
];

const INTRODUCTION = `# Commands

Each command is a task (\`deno task NAME ...\`) and also \`deno task psyche NAME ...\`. This file is made by
\`scripts/generate-docs.ts\` out of the commands' own definitions.

A setting comes from the first of these that has it: flag, environment, env file (\`config/client/.env\` or
\`--env-file\`), record of the run (\`runs/<cluster>/<run-id>.json\`), configuration of the Solana CLI, default.
\`--show-config\` shows every setting with its source. Results go to stdout, everything else to stderr; \`--json\`
makes the result one JSON object.

| exit code | meaning |
|---|---|
| 0 | done; also after Ctrl+C for what runs until it is stopped: \`train\` (it leaves the run), \`setup-localnet\`, \`test-validator\`, \`data-server\`, \`tick\` |
| 1 | failed |
| 2 | wrong usage |
| 10 | client and run want different versions |
| 130, 143 | cut off before it was done, by Ctrl+C or SIGTERM |
`;

// deno-lint-ignore no-explicit-any -- definitions with different flags have no narrower common type
export type AnyCommand = CommandDefinition<any>;

export function commandsMarkdown(commands: AnyCommand[]): string {
  const shared = SHARED.map(({ title, flags, note }) =>
    `### ${title} flags\n\n${sentence(note)}\n\n${flagTable(flags)}`
  );
  return [
    INTRODUCTION,
    "## Flags of many commands",
    ...shared,
    ...commands.map(commandSection),
    shortNames(),
  ].join("\n\n").replace(/\n{3,}/g, "\n\n") + "\n";
}

function commandSection({ name, summary, examples, flags, ...rest }: AnyCommand): string {
  const used = SHARED.filter((set) => Object.keys(set.flags).every((key) => key in flags));
  const own = Object.fromEntries(
    Object.entries(flags as Flags).filter(([key]) => !used.some((set) => key in set.flags)),
  );
  const operands = (rest.arguments ?? []).map((it) => {
    const operand = `${it.name}${it.rest ? "..." : ""}`;
    return it.optional || rest.optionalArguments ? `[${operand}]` : operand;
  });
  const usage = [name, ...operands, ...(Object.keys(flags).length === 0 ? [] : ["[flags]"])];
  const sets = used.map(({ title }) => `[${title}](#${title.toLowerCase()}-flags)`);
  return [
    `## ${name}`,
    summary,
    `    ${usage.join(" ")}`,
    (rest.arguments ?? []).map((it) => `- \`${it.name}\`: ${it.summary}`).join("\n"),
    ...(Object.keys(own).length === 0 ? [] : [flagTable(own)]),
    ...(sets.length === 0 ? [] : [`Also: ${sets.join(", ")} flags.`]),
    examples.map(([line, meaning]) => `    ${line}   # ${meaning}`).join("\n"),
  ].join("\n\n");
}

function flagTable(flags: Flags): string {
  const rows = Object.entries(flags).map(([key, flag]) => {
    const names = environmentNames(key, flag).map((name) => `\`${name}\``).join(", ");
    return `| ${form(key, flag)} | ${names} | ${defaultOf(flag)} | ${cell(flag.summary)} |`;
  });
  return ["| flag | environment | default | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

function form(key: string, flag: Flag<unknown>): string {
  if (flag.environmentOnly) return "(none)";
  const value = flag.placeholder ? ` ${flag.placeholder}` : "";
  const others = [
    ...(flag.short ? [`-${flag.short}`] : []),
    ...(flag.aliases ?? []).map((alias) => `--${alias}`),
  ];
  return [`\`--${flagName(key)}${value}\``, ...others.map((other) => `\`${other}\``)].join(", ");
}

function defaultOf(flag: Flag<unknown>): string {
  if (flag.required) return "required";
  return flag.fallback !== undefined && flag.placeholder ? `\`${flag.fallback}\`` : "";
}

function shortNames(): string {
  const rows = COMMAND_TABLE.filter(({ args }) => args !== undefined)
    .map(({ name, summary }) => `| \`${name}\` | \`${summary}\` |`);
  return ["## Short names\n\nFor `psyche`.\n", "| name | stands for |", "|---|---|", ...rows]
    .join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function sentence(text: string): string {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
