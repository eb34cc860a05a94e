import assert from "node:assert/strict";
import { formatDuration } from "./list_runs.ts";

Deno.test("durations leave out what is zero", () => {
  assert.deepEqual([0n, 3n, 60n, 3605n, 3903n, 90_000n].map(formatDuration), [
    "0s",
    "3s",
    "1m",
    "1h 5s",
    "1h 5m 3s",
    "25h",
  ]);
});
