import type { TimedEvent } from "./event.ts";

/** Longest line that {@linkcode readEventLines} accepts, in UTF-16 code units. */
const MAX_LINE = 1 << 20;

/** One event as a JSON line, newline included. */
export function formatEventLine(event: TimedEvent): string {
  return JSON.stringify(event) + "\n";
}

/**
 * Reads a byte stream of JSON lines. Lines that are not events (runtime warnings, half a line of a
 * killed process) are handed to `onOther` and skipped.
 *
 * @example
 * ```ts
 * for await (const event of readEventLines(child.stdout)) console.log(event.type);
 * ```
 */
export async function* readEventLines(
  stream: ReadableStream<Uint8Array>,
  onOther: (line: string) => void = () => {},
): AsyncGenerator<TimedEvent> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    rest += decoder.decode(bytes, { stream: true });
    let end = rest.indexOf("\n");
    while (end >= 0) {
      const event = parseEventLine(rest.slice(0, end));
      if (event) yield event;
      else onOther(rest.slice(0, end));
      rest = rest.slice(end + 1);
      end = rest.indexOf("\n");
    }
    if (rest.length > MAX_LINE) {
      onOther(rest);
      rest = "";
    }
  }
  if (rest !== "") onOther(rest);
}

/** The event of one line, or null when the line is something else. */
export function parseEventLine(line: string): TimedEvent | null {
  if (!line.startsWith("{")) return null;
  try {
    const value = JSON.parse(line);
    return typeof value?.type === "string" && typeof value.time === "number" ? value : null;
  } catch {
    return null;
  }
}
