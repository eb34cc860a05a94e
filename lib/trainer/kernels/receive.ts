import { receiveMessageOnPort } from "node:worker_threads";
import type { Signal } from "./signal.ts";

/**
 * The next message of a port, for which the thread blocks: an event would come some ten times later. Whoever
 * posts to the port raises the signal afterwards.
 *
 * @returns undefined when none comes in time
 */
export function receive<Message>(
  port: MessagePort,
  signal: Signal,
  limitMilliseconds?: number,
): Message | undefined {
  for (;;) {
    const { count } = signal;
    // deno-lint-ignore no-explicit-any -- the two kinds of ports are one, their types are not
    const received = receiveMessageOnPort(port as any);
    if (received !== undefined) return received.message;
    if (!signal.wait(count, limitMilliseconds)) return undefined;
  }
}
