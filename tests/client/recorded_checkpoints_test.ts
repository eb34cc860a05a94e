/**
 * Runs whose clients save their weights and tell the chain where: a pause costs the two rounds that
 * every early end costs (docs/protocol/client-lifecycle.md section 8.6), not what was learned before.
 */
import assert from "node:assert/strict";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { SimulatedRun } from "./simulated_run.ts";

const SEED = Number(
  Deno.env.get("PSYCHE_TEST_SEED") ?? crypto.getRandomValues(new Uint16Array(1))[0],
);
const LIMIT = 40_000;

for (const lostTransactions of [0, 0.1]) {
  Deno.test(
    `after a pause old and new clients go on from the recorded weights, ${
      100 * lostTransactions
    } % of the transactions lost`,
    async () => {
      console.log(`fault seed ${SEED}`);
      const run = new SimulatedRun({
        seed: SEED,
        clients: 3,
        totalSteps: 30,
        recordCheckpoints: true,
        lostTransactions,
      });
      await run.until((state) => state.progress.step >= 8);
      run.chain.pause();
      await run.until((state) => state.runState === RunState.Paused);
      const said = (type: string) =>
        run.clients.flatMap(({ events }) => events.filter((event) => event.type === type));
      // A client that missed a round has nothing to save.
      const ended = ({ type }: { type: string }) => type === "checkpoint" || type === "left_epoch";
      await run.until(() => run.clients.every(({ events }) => events.some(ended)));
      const outcomes = () => [...said("checkpoint_recorded"), ...said("checkpoint_failed")];
      await run.until(() => outcomes().length === said("checkpoint").length);
      assert.ok(said("checkpoint_recorded").length > 0);
      const saved = said("checkpoint").map((event) =>
        event.type === "checkpoint" ? event.weights_sha256 : ""
      );
      assert.equal(new Set(saved).size, 1, "all clients save the same weights");

      run.clients[0].kill();
      const before = run.clients.map(({ events }) => events.length);
      run.chain.resume();
      run.start();
      const reasons = await run.finish(LIMIT);
      assert.deepEqual(reasons, ["interrupted", "finished", "finished", "finished"]);
      assert.deepEqual(run.monitor.weights.differing, []);
      run.clients.slice(1).forEach(({ events }, i) => {
        const since = events.slice(before[i + 1] ?? 0);
        const loaded = since.find((event) => event.type === "model_loaded");
        assert.match(loaded?.source ?? "", /^client \d\/simulated-step\d+$/);
        assert.equal(loaded?.weights_sha256, saved[0]);
      });
    },
  );
}
