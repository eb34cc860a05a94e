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
  /** Rewrites the last rewritten lines (separated by "\n"); only for terminals. */
  rewrite(text: string): void;
  /** The command's result, once: lines for people or one object for programs. */
  result(value: object, lines: string[]): void;
  /** A line of a stream that goes on after the result; nothing in JSON mode. */
  stream(line: string): void;
}

export function createOutput(runtime: Runtime, options: { json: boolean }): Output {
  const colour = runtime.terminal && !runtime.environment("NO_COLOR");
  /** Lines that `rewrite` put on the screen and that the next output replaces. */
  let drawn = 0;
  let hasResult = false;
  const erase = () => {
    const up = drawn > 1 ? `\x1b[${drawn - 1}A` : "";
    const sequence = drawn > 0 ? `\r${up}\x1b[J` : "";
    drawn = 0;
    return sequence;
  };
  const line = (text: string) => runtime.stderr(`${erase()}${text}\n`);
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
      runtime.stderr(`${erase()}${text}`);
      drawn = text.split("\n").length;
    },
    result(value, lines) {
      if (hasResult) throw new Error("a command has one result");
      hasResult = true;
      if (drawn > 0) runtime.stderr(erase());
      runtime.stdout(
        options.json ? `${toJson(value)}\n` : lines.map((text) => `${text}\n`).join(""),
      );
    },
    stream(text) {
      if (!options.json) runtime.stdout(`${text}\n`);
    },
  };
}
