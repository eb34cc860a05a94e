/** Results on stdout, talk on stderr; with `--json` stdout is exactly one JSON object. */
import type { Runtime } from "./runtime.ts";
import { toJson } from "./json.ts";

export interface Output {
  readonly json: boolean;
  /** A person reads the talk and wants colour. */
  readonly colour: boolean;
  readonly terminal: boolean;
  /** The one result was written. */
  readonly hasResult: boolean;
  /** One line of talk. */
  say(line: string): void;
  warn(line: string): void;
  /** Rewrites the last line of talk; only for terminals. */
  rewrite(line: string): void;
  /** The command's result, once: lines for people or one object for programs. */
  result(value: object, lines: string[]): void;
  /** A line of a stream that goes on after the result; nothing in JSON mode. */
  stream(line: string): void;
}

export function createOutput(runtime: Runtime, options: { json: boolean }): Output {
  const colour = runtime.terminal && !runtime.environment("NO_COLOR");
  let unfinished = false;
  let hasResult = false;
  const line = (text: string) => {
    runtime.stderr(`${unfinished ? "\r\x1b[K" : ""}${text}\n`);
    unfinished = false;
  };
  return {
    json: options.json,
    colour,
    terminal: runtime.terminal,
    get hasResult() {
      return hasResult;
    },
    say: line,
    warn: (text) => line(colour ? `\x1b[33mwarning:\x1b[0m ${text}` : `warning: ${text}`),
    rewrite(text) {
      runtime.stderr(`\r\x1b[K${text}`);
      unfinished = true;
    },
    result(value, lines) {
      if (hasResult) throw new Error("a command has one result");
      hasResult = true;
      if (unfinished) runtime.stderr("\r\x1b[K");
      unfinished = false;
      runtime.stdout(
        options.json ? `${toJson(value)}\n` : lines.map((text) => `${text}\n`).join(""),
      );
    },
    stream(text) {
      if (!options.json) runtime.stdout(`${text}\n`);
    },
  };
}
