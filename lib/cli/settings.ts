/**
 * One resolver for every setting of every command: flag > environment > env file > run record >
 * Solana CLI configuration > default. Pure: the layers are handed in.
 */
import { PsycheError } from "../error.ts";
import type { RunRecord } from "../operator/run_record.ts";
import { environmentNames, flagName, type Flags, type Values } from "./flag.ts";
import type { SolanaConfig } from "./solana_config.ts";

export const SOURCES = [
  "flag",
  "environment",
  "env file",
  "run record",
  "solana config",
  "default",
] as const;
export type Source = typeof SOURCES[number];

/** Where one value came from; `detail` names the flag, variable or file. */
export interface Origin {
  source: Source;
  detail: string;
}

export interface SettingLayers {
  /** Text given on the command line, by flag key. */
  flags: Record<string, string>;
  environment(name: string): string | undefined;
  envFile?: { path: string; values: Record<string, string | undefined> };
  runRecord?: { path: string; record: RunRecord };
  solanaConfig?: { path: string; values: SolanaConfig };
}

export interface Settings<F extends Flags> {
  values: Values<F>;
  /** Absent key: no source had a value. */
  origins: Partial<Record<keyof F, Origin>>;
  /** One sentence each; a command must not go on unless this is empty. */
  problems: string[];
}

/** Env files read by containers keep their quotes, so a value may arrive with them. */
export function stripQuotes(value: string): string {
  const trimmed = value.trim();
  return trimmed.length >= 2 && trimmed.startsWith('"') && trimmed.endsWith('"')
    ? trimmed.slice(1, -1)
    : trimmed;
}

/** The text of one setting and its origin, or undefined when no layer has it. Empty text is absent. */
export function lookUp<F extends Flags>(
  flags: F,
  key: keyof F & string,
  layers: SettingLayers,
): (Origin & { text: string }) | undefined {
  const flag = flags[key];
  const found = (source: Source, detail: string, value: string | null | undefined) => {
    const text = value === null || value === undefined ? "" : stripQuotes(value);
    return text === "" ? undefined : { source, detail, text };
  };
  // A flag that was typed counts even when empty: "" is then an error of its parser, not silence.
  if (layers.flags[key] !== undefined) {
    return { source: "flag", detail: `--${flagName(key)}`, text: stripQuotes(layers.flags[key]) };
  }
  const names = environmentNames(key, flag);
  for (const name of names) {
    const hit = found("environment", name, layers.environment(name));
    if (hit) return hit;
  }
  for (const name of names) {
    const file = layers.envFile;
    const hit = file && found("env file", `${name} in ${file.path}`, file.values[name]);
    if (hit) return hit;
  }
  const { runRecord, solanaConfig } = layers;
  return (runRecord &&
    found("run record", runRecord.path, flag.fromRunRecord?.(runRecord.record))) ??
    (solanaConfig &&
      found("solana config", solanaConfig.path, flag.fromSolanaConfig?.(solanaConfig.values))) ??
    found("default", "built in", flag.fallback);
}

/** Resolves every flag; collects all problems instead of stopping at the first. */
export function resolveSettings<F extends Flags>(flags: F, layers: SettingLayers): Settings<F> {
  const values: Record<string, unknown> = {};
  const origins: Partial<Record<keyof F, Origin>> = {};
  const problems: string[] = [];
  for (const key of Object.keys(flags) as (keyof F & string)[]) {
    const hit = lookUp(flags, key, layers);
    if (hit === undefined) {
      if (flags[key].required) {
        const [variable] = environmentNames(key, flags[key]);
        problems.push(
          `--${flagName(key)} is missing` + (variable ? ` (or set ${variable})` : ""),
        );
      }
      continue;
    }
    origins[key] = { source: hit.source, detail: hit.detail };
    try {
      values[key] = flags[key].parse(hit.text);
    } catch (error) {
      const where = hit.source === "flag" ? hit.detail : `--${flagName(key)} (from ${hit.detail})`;
      problems.push(`${where}: ${error instanceof Error ? error.message : error}`);
    }
  }
  return { values: values as Values<F>, origins, problems };
}

/** One error for all problems of a command line, exit code 2. */
export function usageError(command: string, problems: string[]): PsycheError {
  const list = problems.length === 1
    ? problems[0]
    : `${problems.length} problems:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`;
  return new PsycheError("USAGE", `${command}: ${list}\nRun it with --help to see its flags.`, {
    exitCode: 2,
  });
}
