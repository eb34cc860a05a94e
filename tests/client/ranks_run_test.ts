/** A whole run of clients that compute in different ways. */
import assert from "node:assert/strict";
import { RealRun, testRun } from "./real_run.ts";

const STEPS = 8;

testRun("clients with other ranks, threads and micro batches hold equal weights", async () => {
  const run = await RealRun.create({ clients: 2, steps: STEPS });
  try {
    const clients = [
      run.start("--threads", "1", "--micro-batch-size", "4"),
      // Three ranks share eight sequences unevenly.
      run.start("--threads", "2", "--data-parallelism", "3"),
    ];
    for (const { ended } of clients) {
      const { code, errors } = await run.within(ended);
      assert.equal(code, 0, errors.join("\n"));
    }
    const devices = run.of("model_loaded").map(({ device }) => device).sort();
    assert.deepEqual(devices, ["cpu", "cpu,cpu,cpu"]);
    const { equal, compared, differing } = run.monitor.weights;
    assert.deepEqual(differing, [], run.log());
    assert.ok(equal && compared >= STEPS - 2, `${compared} rounds compared\n${run.log()}`);
    assert.equal(run.of("trained").length, 2 * STEPS, run.log());
    assert.equal(run.of("untrained_batch").length, 0, run.log());
  } finally {
    await run.close();
  }
});
