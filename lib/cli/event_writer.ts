/** Writes a client's events where its user wants them. */
import type { PsycheError } from "../error.ts";
import { describeEvent } from "../events/describe_event.ts";
import type { ClientEvent, EventSink } from "../events/event.ts";
import { formatEventLine } from "../events/event_lines.ts";
import { openEventLog } from "../events/event_log.ts";
import { lossyLines } from "../events/lossy_lines.ts";
import type { Output } from "./output.ts";
import type { Logs } from "./train_flags.ts";

export interface EventWriter {
  /** Never throws: what cannot be written is lost, with one warning for each place. */
  emit: EventSink;
  close(): void;
}

/**
 * @param client base58 wallet, put into every line
 * @param logFile also appended to this file as JSON lines
 * @throws PsycheError `LOG_FILE_UNWRITABLE`
 */
export function createEventWriter(
  output: Output,
  options: { logs: Logs; client: string; logFile?: string },
): EventWriter {
  const warn = (error: PsycheError) => {
    try {
      output.warn(error.message);
    } catch {
      // Standard error may be on the same disk.
    }
  };
  const file = options.logFile === undefined ? null : openEventLog(options.logFile, warn);
  const stream = lossyLines("standard output", output.stream, warn);
  return {
    emit(event: ClientEvent) {
      const timed = { ...event, time: Date.now(), client: options.client };
      file?.write(timed);
      if (options.logs === "json") stream(formatEventLine(timed).trimEnd());
      else if (options.logs === "console") {
        const text = describeEvent(event);
        if (text !== null) stream(`${new Date().toISOString().slice(11, 19)} ${text}`);
      }
    },
    close: () => file?.[Symbol.dispose](),
  };
}
