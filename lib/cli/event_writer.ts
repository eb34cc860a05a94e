/** Writes a client's events where its user wants them. */
import { PsycheError } from "../error.ts";
import { describeEvent } from "../events/describe_event.ts";
import type { ClientEvent, EventSink } from "../events/event.ts";
import { formatEventLine } from "../events/event_lines.ts";
import type { Output } from "./output.ts";
import type { Logs } from "./train_flags.ts";

export interface EventWriter {
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
  const file = options.logFile === undefined ? null : openLog(options.logFile);
  const encoder = new TextEncoder();
  return {
    emit(event: ClientEvent) {
      const line = formatEventLine({ ...event, time: Date.now(), client: options.client });
      file?.writeSync(encoder.encode(line));
      if (options.logs === "json") output.stream(line.trimEnd());
      else if (options.logs === "console") {
        const text = describeEvent(event);
        if (text !== null) output.stream(`${new Date().toISOString().slice(11, 19)} ${text}`);
      }
    },
    close: () => file?.close(),
  };
}

function openLog(path: string): Deno.FsFile {
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
