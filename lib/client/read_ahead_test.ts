import assert from "node:assert/strict";
import type { BatchId } from "../protocol/coordinator_state.ts";
import { readAhead } from "./read_ahead.ts";

const batch = (n: bigint): BatchId => ({ start: n, end: n });
const never = new AbortController().signal;

Deno.test("the next batch is read while the one before it is used", async () => {
  const log: string[] = [];
  const waiting: (() => void)[] = [];
  const next = readAhead(
    {
      read({ start }) {
        log.push(`read ${start}`);
        return new Promise((resolve) =>
          waiting.push(() => resolve({ tokens: Int32Array.of(Number(start)) }))
        );
      },
    },
    [batch(5n), batch(3n), batch(1n)],
    never,
  );
  // Before anybody asks.
  assert.deepEqual(log, ["read 5"]);
  waiting[0]();
  assert.deepEqual((await next())?.samples.tokens, Int32Array.of(5));
  assert.deepEqual(log, ["read 5", "read 3"]);
  waiting[1]();
  assert.deepEqual((await next())?.batchId, batch(3n));
  waiting[2]();
  assert.deepEqual((await next())?.batchId, batch(1n));
  assert.equal(await next(), null);
  assert.equal(await next(), null);
  assert.equal(await readAhead({ read: () => assert.fail() }, [], never)(), null);
});

Deno.test("a failure is the taker's, and nobody else's", async () => {
  const failing = { read: () => Promise.reject(new Error("no data")) };
  const next = readAhead(failing, [batch(1n), batch(2n)], never);
  readAhead(failing, [batch(1n)], never);
  // An unhandled rejection would fail the test here.
  await new Promise((resolve) => setTimeout(resolve, 5));
  await assert.rejects(next(), /no data/);
});
