import assert from "node:assert/strict";
import { resolveSettings } from "./settings.ts";
import { TRAIN_COMMAND, TRAIN_FLAGS } from "./train_flags.ts";

function problems(flags: Record<string, string>): string[] {
  const { values } = resolveSettings(TRAIN_FLAGS, {
    flags: { runId: "test", ...flags },
    environment: () => undefined,
  });
  return TRAIN_COMMAND.check(values as Parameters<typeof TRAIN_COMMAND.check>[0]);
}

Deno.test("each device needs a rank", () => {
  assert.deepEqual(problems({}), []);
  assert.deepEqual(problems({ dataParallelism: "3" }), []);
  assert.deepEqual(problems({ device: "cuda:0,cuda:1", dataParallelism: "2" }), []);
  assert.deepEqual(problems({ device: "cpu,cpu", dataParallelism: "1" }), [
    "--data-parallelism: 1 is less than the 2 devices of --device",
  ]);
});
