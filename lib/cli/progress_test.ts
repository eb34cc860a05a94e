import assert from "node:assert/strict";
import { createOutput } from "./output.ts";
import { createProgress } from "./progress.ts";
import { testRuntime } from "./test_runtime.ts";

Deno.test("without a terminal: a line at each quarter, and another one after half a minute", () => {
  const runtime = testRuntime([]);
  let time = 0;
  const progress = createProgress(createOutput(runtime, { json: false }), () => time);
  for (let done = 1; done <= 100; done++) progress.update("fast", done, 100);
  assert.deepEqual(
    runtime.written.stderr.trim().split("\n"),
    [1, 25, 50, 75, 100].map((done) => `fast: ${done} of 100`),
  );
  runtime.written.stderr = "";
  for (let done = 1; done <= 9; done++) {
    progress.update("slow", done, 1000);
    time += 10_000;
  }
  assert.equal(runtime.written.stderr, "slow: 1 of 1000\nslow: 4 of 1000\nslow: 7 of 1000\n");
});

Deno.test("on a terminal a bar is redrawn and ends as a line", () => {
  const runtime = testRuntime([], { terminal: true });
  const progress = createProgress(createOutput(runtime, { json: false }));
  for (const done of [1, 2]) progress.update("work", done, 2);
  assert.match(runtime.written.stderr, /work \[#{12}-{12}\] 1\/2.*work: 2 of 2\n$/s);
});
