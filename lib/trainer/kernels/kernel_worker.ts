/**
 * A thread that helps with loops. It sleeps until it is told something: a worker that waits for events
 * would wake up some ten times as slowly.
 */
import { receiveMessageOnPort } from "node:worker_threads";
import { KernelMemory } from "./kernel_memory.ts";
import { KernelSpaces } from "./kernel_space.ts";
import { type ThreadMessage, type ThreadStart, workOn } from "./kernel_threads.ts";

interface WorkerScope {
  onmessage: ((event: MessageEvent<ThreadStart>) => void) | null;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data: { port, messages } }) => {
  const spaces = new KernelSpaces();
  for (;;) {
    const seen = Atomics.load(messages, 0);
    // deno-lint-ignore no-explicit-any -- the two kinds of ports are one, their types are not
    const received = receiveMessageOnPort(port as any);
    if (received === undefined) {
      Atomics.wait(messages, 0, seen);
      continue;
    }
    const message: ThreadMessage = received.message;
    if (message === "end") break;
    if ("memory" in message) spaces.add(new KernelMemory(message.memory));
    else workOn(spaces, message.work);
  }
  scope.close();
};
