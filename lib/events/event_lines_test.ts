import assert from "node:assert/strict";
import { formatEventLine, readEventLines } from "./event_lines.ts";
import type { TimedEvent } from "./event.ts";

const first: TimedEvent = { type: "waiting", reason: "epoch é", time: 1, client: "A" };
const second: TimedEvent = { type: "joined", epoch: 2, signature: "s", time: 2, client: "A" };

function bytesInPieces(text: string, size: number): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  return new ReadableStream({
    start(controller) {
      for (let i = 0; i < bytes.length; i += size) controller.enqueue(bytes.subarray(i, i + size));
      controller.close();
    },
  });
}

Deno.test("event lines survive any chunking and skip foreign lines", async () => {
  const text = formatEventLine(first) + "npm warning\n{broken\n" + formatEventLine(second) + '{"ty';
  for (const size of [1, 2, 3, 7, 1000]) {
    const events: TimedEvent[] = [];
    const other: string[] = [];
    for await (
      const event of readEventLines(bytesInPieces(text, size), (line) => other.push(line))
    ) {
      events.push(event);
    }
    assert.deepEqual(events, [first, second]);
    assert.deepEqual(other, ["npm warning", "{broken", '{"ty']);
  }
});
