/** What a flag of a command is: its name, where else its value may come from, how its text is read. */
import type { RunRecord } from "../operator/run_record.ts";
import type { SolanaConfig } from "./solana_config.ts";

export interface Flag<T> {
  summary: string;
  /** Shown in the help, for example `<id>`. A flag without one takes no value: it is a switch. */
  placeholder?: string;
  /** One letter. */
  short?: string;
  /** Other flag names with the same meaning, kept out of the help. */
  aliases?: string[];
  /** Environment names, first match wins. Default: the flag name in upper snake case. */
  environment?: string[];
  /** Reads the text; throws an `Error` whose message completes "--name: ". */
  parse(text: string): T;
  /** Text used when no source has a value. */
  fallback?: string;
  required?: boolean;
  /** Never shown in full. */
  secret?: boolean;
  /** Has no flag form: environment and files only. */
  environmentOnly?: boolean;
  fromRunRecord?: (record: RunRecord) => string | null | undefined;
  fromSolanaConfig?: (config: SolanaConfig) => string | undefined;
}

// deno-lint-ignore no-explicit-any -- a set of flags of different value types has no narrower type
export type Flags = Record<string, Flag<any>>;
export type Values<F extends Flags> = {
  [K in keyof F]: F[K] extends Flag<infer T> ? T : never;
};

type Options<T> = Omit<Flag<T>, "parse" | "required" | "fallback">;

/** `runId` -> `run-id`, `rpc2` -> `rpc-2`. */
export function flagName(key: string): string {
  return key.replace(/([a-z])([A-Z0-9])/g, "$1-$2").toLowerCase();
}

/** Names under which the environment (and an env file) may hold the flag, most important first. */
export function environmentNames(key: string, flag: Flag<unknown>): string[] {
  return flag.environment ?? [flagName(key).replaceAll("-", "_").toUpperCase()];
}

export function text(options: Options<string>): Flag<string | undefined> {
  return { placeholder: "<text>", ...options, parse: (value) => value };
}

/** A flag without a value; `true`/`1`/`yes` and `false`/`0`/`no` in the environment. */
export function toggle(options: Options<boolean>): Flag<boolean> {
  return {
    ...options,
    fallback: "false",
    parse(value) {
      if (/^(true|1|yes)$/i.test(value)) return true;
      if (/^(false|0|no|)$/i.test(value)) return false;
      throw new Error(`"${value}" is neither true nor false`);
    },
  };
}

export function integer(
  options: Options<number> & { min?: number; max?: number },
): Flag<number | undefined> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER, ...rest } = options;
  return {
    placeholder: "<n>",
    ...rest,
    parse(value) {
      const number = Number(value);
      if (!/^-?\d+$/.test(value) || !Number.isSafeInteger(number) || number < min || number > max) {
        throw new Error(`"${value}" is not a whole number from ${min} to ${max}`);
      }
      return number;
    },
  };
}

/** Unsigned 64-bit whole number. */
export function u64(options: Options<bigint>): Flag<bigint | undefined> {
  return {
    placeholder: "<n>",
    ...options,
    parse(value) {
      if (!/^\d{1,20}$/.test(value) || BigInt(value) >= 1n << 64n) {
        throw new Error(`"${value}" is not a whole number from 0 to 18446744073709551615`);
      }
      return BigInt(value);
    },
  };
}

export function decimal(
  options: Options<number> & { min?: number; max?: number },
): Flag<number | undefined> {
  const { min = 0, max = Number.MAX_VALUE, ...rest } = options;
  return {
    placeholder: "<x>",
    ...rest,
    parse(value) {
      const number = Number(value);
      if (value.trim() === "" || !Number.isFinite(number) || number < min || number > max) {
        throw new Error(`"${value}" is not a number of at least ${min}`);
      }
      return number;
    },
  };
}

/** Several texts: the flag is given several times, or once with commas. */
export function list(options: Options<string[]>): Flag<string[] | undefined> {
  return {
    placeholder: "<text...>",
    ...options,
    parse: (value) => value.split(",").map((part) => part.trim()).filter((part) => part !== ""),
  };
}

export function required<T>(flag: Flag<T | undefined>): Flag<T> {
  return { ...flag, required: true } as Flag<T>;
}

/** The same flag with a value for when nobody gives one. */
export function defaulted<T>(flag: Flag<T | undefined>, fallback: string): Flag<T> {
  return { ...flag, fallback } as Flag<T>;
}
