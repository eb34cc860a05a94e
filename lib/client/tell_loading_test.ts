import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { describeEvent } from "../events/describe_event.ts";
import type { ClientEvent } from "../events/event.ts";
import { tellLoading } from "./tell_loading.ts";

Deno.test("a long loading is told of with what is known of it, until it ends", async () => {
  const events: ClientEvent[] = [];
  const emit = (event: ClientEvent) => void events.push(event);
  const until = async (count: number) => {
    while (events.length < count) await sleep(1);
  };
  const loaded = await tellLoading(emit, "peers", async (progress) => {
    await until(1);
    progress(1500, 6000);
    await until(2);
    return "model";
  }, 2);
  assert.equal(loaded, "model");
  assert.deepEqual([...new Set(events.map(describeEvent))], [
    "loading the model from peers",
    "loading the model from peers: 1,500 of 6,000 parameters",
  ]);
  const count = events.length;
  await sleep(20);
  assert.equal(events.length, count);
});

Deno.test("a short loading is not told of, and its failure is passed on", async () => {
  const emit = () => assert.fail("told");
  assert.equal(await tellLoading(emit, "peers", () => Promise.resolve(1)), 1);
  await assert.rejects(tellLoading(emit, "peers", () => Promise.reject(new Error("gone"))), /gone/);
});
