/**
 * A thread that helps with loops. It sleeps until it is woken: a worker that waits for events would
 * begin some ten times later.
 */
import { receiveMessageOnPort } from "node:worker_threads";
import { KernelMemory } from "./kernel_memory.ts";
import { KernelSpaces } from "./kernel_space.ts";
import type { ThreadMessage, ThreadStart } from "./kernel_threads.ts";
import type { Loop, Pieces } from "./loop.ts";
import { LoopControl } from "./loop_control.ts";
import { loops } from "./loops.ts";

interface WorkerScope {
  onmessage: ((event: MessageEvent<ThreadStart>) => void) | null;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data: { port, control: parts } }) => {
  const control = new LoopControl(parts);
  const spaces = new KernelSpaces();
  const known = new Map<number, Pieces>();

  /** Returns whether it was the last message. */
  function take(message: ThreadMessage): boolean {
    if (message === "end") return true;
    if ("memory" in message) spaces.add(new KernelMemory(message.memory));
    else {
      // Name and task come from one typed call on the other side.
      const loop = loops[message.name] as Loop<unknown>;
      known.set(message.loop, loop(message.task, spaces));
    }
    return false;
  }

  for (;;) {
    const { count } = control.wake;
    // deno-lint-ignore no-explicit-any -- the two kinds of ports are one, their types are not
    const received = receiveMessageOnPort(port as any);
    if (received !== undefined) {
      if (take(received.message)) break;
      continue;
    }
    control.work((loop) => known.get(loop));
    control.wake.wait(count);
  }
  scope.close();
};
