import assert from "node:assert/strict";
import { describeEvent } from "./describe_event.ts";

Deno.test("how long the data last is told, also when they have no end", () => {
  assert.equal(
    describeEvent({ type: "data_ready", sequences: 12345, steps: 10, steps_left: 40 }),
    "data: 12,345 sequences, enough for 10 of 40 steps",
  );
  assert.equal(
    describeEvent({ type: "data_ready", sequences: null, steps: 40, steps_left: 40 }),
    "data: endless sequences, enough for 40 of 40 steps",
  );
});
