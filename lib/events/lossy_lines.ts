/** Lines that are worth less than the work they tell of. */
import { PsycheError } from "../error.ts";

/**
 * A place that may stop taking lines, as a full disk does: a write that fails loses its line and no more.
 *
 * @param place for the message, for example "the log file events.jsonl"
 * @param write takes a whole line, or throws
 * @param onFailure told of the first failure alone, as `EVENTS_UNWRITABLE`; it may throw
 */
export function lossyLines(
  place: string,
  write: (line: string) => void,
  onFailure: (error: PsycheError) => void,
): (line: string) => void {
  let hasFailed = false;
  /** Half a line may stand there; an end of line keeps the next one readable. */
  let isTorn = false;
  return (line) => {
    try {
      write(isTorn ? `\n${line}` : line);
      isTorn = false;
    } catch (cause) {
      isTorn = true;
      if (hasFailed) return;
      hasFailed = true;
      onFailure(unwritable(place, cause));
    }
  };
}

function unwritable(place: string, cause: unknown): PsycheError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PsycheError(
    "EVENTS_UNWRITABLE",
    `Events cannot be written to ${place} (${reason}) and are lost until they can; make room there.`,
    { cause },
  );
}
