import { PsycheError } from "../error.ts";
import type { TimedEvent } from "./event.ts";
import { formatEventLine } from "./event_lines.ts";
import { lossyLines } from "./lossy_lines.ts";

export interface EventLog extends Disposable {
  /** Never throws, unless `onFailure` does. */
  write(event: TimedEvent): void;
}

/**
 * Opens a file that events are appended to as JSON lines.
 *
 * @param onFailure as of {@linkcode lossyLines}
 * @throws PsycheError `LOG_FILE_UNWRITABLE` when it cannot be opened
 */
export function openEventLog(path: string, onFailure: (error: PsycheError) => void): EventLog {
  const file = open(path);
  const encoder = new TextEncoder();
  const write = lossyLines(`the log file ${path}`, (line) => {
    const bytes = encoder.encode(line);
    for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
  }, onFailure);
  return {
    write: (event) => write(formatEventLine(event)),
    [Symbol.dispose]: () => file.close(),
  };
}

function open(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { append: true, create: true });
  } catch (cause) {
    throw new PsycheError(
      "LOG_FILE_UNWRITABLE",
      `The log file ${path} cannot be written; check that its folder exists and who may write there.`,
      { cause },
    );
  }
}
