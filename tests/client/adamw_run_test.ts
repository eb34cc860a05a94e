/** A whole run with AdamW: localnet, chain and peers are real. */
import assert from "node:assert/strict";
import { readModelDirectory } from "../../lib/trainer/model/model_directory.ts";
import { RealRun, testRun } from "./real_run.ts";

const STEPS = 16;

testRun(
  "one client of two ranks trains a run with AdamW, and a second one is turned away",
  async () => {
    const run = await RealRun.create({ clients: 1, steps: STEPS }, ({ model }) => {
      model.optimizer = {
        kind: "AdamW",
        betas: [0.9, 0.95],
        weightDecay: 0.1,
        eps: 1e-8,
        clipGradNorm: 1,
      };
      model.lrSchedule = { kind: "Constant", baseLr: 4e-3, warmupInitLr: 0, warmupSteps: 4 };
    });
    const log = () => run.log();
    try {
      const saved = `${run.directory}/saved`;
      const first = run.start(
        "--threads",
        "2",
        "--data-parallelism",
        "2",
        "--checkpoint-dir",
        saved,
      );
      await run.within(run.first("trained"), [first]);
      const second = await run.within(run.start("--threads", "1").ended);
      assert.equal(second.code, 1);
      assert.match(second.errors.join("\n"), /CANNOT_TRAIN.*has to train alone, and client/s);
      const end = await run.within(first.ended);
      assert.equal(end.code, 0, end.errors.join("\n"));

      assert.ok(run.of("stopped").some(({ reason }) => reason === "finished"));
      assert.deepEqual(run.of("model_loaded").map(({ device }) => device), ["cpu,cpu"]);
      const trained = run.of("trained");
      assert.equal(trained.length, STEPS, log());
      // Only the header of a result is sent.
      assert.ok(trained.every(({ bytes }) => bytes < 32), log());
      const [before, after] = [trained[0].loss, trained.at(-1)!.loss];
      assert.ok(after < 0.9 * before, `loss ${before} -> ${after}`);
      // Nothing is applied late: the witnesses accepted every batch all the same.
      assert.equal(run.of("untrained_batch").length, 0, log());
      const applied = run.of("applied");
      assert.ok(
        applied.length >= STEPS - 4 && applied.every(({ results }) => results === 1),
        log(),
      );
      const { parameters } = await readModelDirectory(run.of("checkpoint").at(-1)!.path);
      assert.ok(parameters.every(({ data }) => data.every(Number.isFinite)));
    } finally {
      await run.close();
    }
  },
);
