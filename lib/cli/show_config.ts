/** `--show-config`: every setting, its value and where it came from. */
import { environmentNames, flagName, type Flags } from "./flag.ts";
import type { Origin, Settings } from "./settings.ts";
import { redactUrl } from "../chain/endpoint.ts";

export interface ShownSetting {
  /** Flag name, or the variable's name for settings without a flag. */
  name: string;
  value: unknown;
  source: string;
}

/** Secrets show as `(hidden)`, URLs without their access keys. */
export function shownSettings<F extends Flags>(flags: F, settings: Settings<F>): ShownSetting[] {
  return Object.entries(flags).map(([key, flag]) => {
    const value = settings.values[key as keyof F] as unknown;
    const origin = settings.origins[key as keyof F];
    return {
      name: flag.environmentOnly ? environmentNames(key, flag)[0] : `--${flagName(key)}`,
      value: value === undefined ? null : flag.secret ? "(hidden)" : shown(value),
      source: origin === undefined ? "not set" : describeOrigin(origin),
    };
  });
}

/** Aligned lines for people. */
export function formatSettings(shown: ShownSetting[]): string[] {
  const width = Math.max(...shown.map(({ name }) => name.length));
  return shown.map(({ name, value, source }) =>
    `${name.padEnd(width)}  ${value === null ? "-" : String(value)}  [${source}]`
  );
}

function shown(value: unknown): unknown {
  return typeof value === "string" && /^(https?|wss?):\/\//.test(value) ? redactUrl(value) : value;
}

function describeOrigin({ source, detail }: Origin): string {
  return source === "flag" || source === "default" ? source : `${source}: ${detail}`;
}
