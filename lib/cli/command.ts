/** A command: its flags, its help text and its reading of the command line (over commander). */
import "./no_deprecation_noise.ts";
import "./no_native_websocket.ts";
import "./no_bindings_warning.ts";
import { Command, CommanderError, Option } from "commander";
import { environmentNames, type Flag, flagName, type Flags, toggle, type Values } from "./flag.ts";
import type { Output } from "./output.ts";
import type { Runtime } from "./runtime.ts";
import type { Origin } from "./settings.ts";

export interface Argument {
  /** For example `KEYPAIR`. */
  name: string;
  summary: string;
  /** May be left out; only the last ones may. */
  optional?: boolean;
  /** Takes all that follows; only the last one may. */
  rest?: boolean;
}

export interface CommandContext<F extends Flags> {
  settings: Values<F>;
  origins: Partial<Record<keyof F, Origin>>;
  /** Positional arguments, as many as declared. */
  positional: string[];
  output: Output;
  /** Aborted by Ctrl+C and SIGTERM. */
  signal: AbortSignal;
  runtime: Runtime;
}

export interface CommandDefinition<F extends Flags> {
  name: string;
  summary: string;
  /** Command lines without the program's prefix, each with a word on what it does. */
  examples: [line: string, meaning: string][];
  flags: F;
  /** All of them required, unless `optional` or `optionalArguments`. */
  arguments?: Argument[];
  optionalArguments?: boolean;
  /** Rules over several settings; each returned sentence is one problem (exit code 2). */
  check?(settings: Values<F>, positional: string[]): string[];
  run(context: CommandContext<F>): Promise<void>;
}

/** Flags that every command has. */
export const COMMON_FLAGS = {
  json: toggle({ summary: "print one JSON object on stdout", environment: [] }),
  showConfig: toggle({ summary: "show each setting with its source, then end", environment: [] }),
} satisfies Flags;

/** Helps type inference; changes nothing. */
export function defineCommand<F extends Flags>(definition: CommandDefinition<F>) {
  return definition;
}

export interface ParsedArguments {
  flags: Record<string, string>;
  positional: string[];
  problems: string[];
  help: boolean;
}

/** Reads a command line without acting on it; every problem is collected. */
export function parseArguments<F extends Flags>(
  definition: CommandDefinition<F>,
  args: string[],
): ParsedArguments {
  const flags = allFlags(definition);
  const parser = buildParser(definition);
  const problems: string[] = [];
  let operands: string[] = [];
  let unknown: string[] = [];
  try {
    ({ operands, unknown } = parser.parseOptions(args));
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    problems.push(error.message.replace(/^error: /, ""));
  }
  const help = unknown.some((word) => word === "--help" || word === "-h");
  for (const word of unknown.filter((word) => word.startsWith("-") && word !== "--")) {
    problems.push(`${word} is not a flag of this command`);
  }
  const declared = definition.arguments ?? [];
  if (problems.length === 0) {
    for (const argument of declared.slice(operands.length)) {
      if (definition.optionalArguments || argument.optional) continue;
      problems.push(`the argument ${argument.name} is missing`);
    }
    for (const extra of declared.at(-1)?.rest ? [] : operands.slice(declared.length)) {
      problems.push(`"${extra}" is one argument too many`);
    }
  }
  const given: Record<string, string> = {};
  const options = parser.opts();
  for (const key of Object.keys(flags)) {
    // Commander's own camel case differs from ours around digits; both come from the same flag name.
    const names = [flagName(key), ...(flags[key].aliases ?? [])];
    const value = names.map((name) => options[new Option(`--${name}`).attributeName()])
      .find((value) => value !== undefined);
    if (value !== undefined) given[key] = String(value);
  }
  return { flags: given, positional: operands, problems, help };
}

/** The text of `--help`. */
export function helpText<F extends Flags>(definition: CommandDefinition<F>): string {
  const examples = definition.examples.map(([line, meaning]) => `  # ${meaning}\n  ${line}`);
  return buildParser(definition).helpInformation() + `\nExamples:\n${examples.join("\n")}\n`;
}

/** The command's own flags and the common ones. */
export function allFlags<F extends Flags>(
  definition: CommandDefinition<F>,
): F & typeof COMMON_FLAGS {
  return { ...definition.flags, ...COMMON_FLAGS };
}

function buildParser<F extends Flags>(definition: CommandDefinition<F>): Command {
  const parser = new Command(definition.name)
    .description(definition.summary)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .helpOption("-h, --help", "show this help");
  // Help is answered by the caller, after all of the line was read.
  parser.allowUnknownOption();
  for (const argument of definition.arguments ?? []) {
    const name = `${argument.name}${argument.rest ? "..." : ""}`;
    const isOptional = definition.optionalArguments || argument.optional;
    parser.argument(isOptional ? `[${name}]` : `<${name}>`, argument.summary);
  }
  for (const [key, flag] of Object.entries(allFlags(definition))) {
    if (flag.environmentOnly) continue;
    const letter = flag.short ? `-${flag.short}, ` : "";
    const value = flag.placeholder ? ` ${flag.placeholder}` : "";
    parser.addOption(new Option(`${letter}--${flagName(key)}${value}`, describe(key, flag)));
    for (const alias of flag.aliases ?? []) {
      parser.addOption(new Option(`--${alias}${value}`).hideHelp());
    }
  }
  return parser;
}

function describe(key: string, flag: Flag<unknown>): string {
  const notes = [];
  const names = environmentNames(key, flag);
  if (names.length > 0) notes.push(`env: ${names.join(", ")}`);
  if (flag.fallback !== undefined && flag.placeholder) notes.push(`default: ${flag.fallback}`);
  if (flag.required) notes.push("required");
  return notes.length === 0 ? flag.summary : `${flag.summary} (${notes.join("; ")})`;
}
