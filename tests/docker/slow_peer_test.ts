/** docs/protocol/docker.md section 7, scenario 4: a newcomer's only peer has a slow network. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import type { ContainerClient } from "./container_client.ts";
import { ContainerNetwork } from "./container_network.ts";
import { withoutEngine } from "./engine.ts";
import { FAULT_MILLISECONDS, PATIENT } from "./survive.ts";
import { agreement } from "./training_report.ts";

Deno.test({
  name: "a newcomer takes the model from a peer whose network is slow",
  ignore: withoutEngine,
  async fn(t) {
    const config = {
      ...PATIENT,
      // Time for the slow one to join the second epoch too: else nobody would have its weights.
      waiting_for_members_extra_time: 150,
      // Of which the fault takes a part.
      warmup_time: 600,
      epoch_time: 601,
    };
    await using network = await ContainerNetwork.start({ clients: 1, config });
    const [old] = network.clients;

    await t.step("4: before the chain reaches the epoch after the next", async () => {
      await network.until("a round", 120, ({ runState }) => runState === RunState.RoundTrain);
      let newcomer: ContainerClient;
      let epoch: number;
      {
        await using _slow = await network.spoil(old.name, { delay: 2000, jitter: 500 });
        newcomer = await network.addClient();
        await network.until("a sign of the newcomer", 60, () => newcomer.wallet());
        ({ epoch } = network.state.progress);
        await network.until(
          "a warmup of both",
          180,
          (state) => state.runState === RunState.Warmup && state.epochState.clients.length === 2,
        );
        await delay(FAULT_MILLISECONDS);
      }
      const loaded = await network.until("its model", 120, async (state) => {
        assert.ok(state.progress.epoch <= epoch + 1, `epoch ${state.progress.epoch}`);
        return (await newcomer.eventsOf("model_loaded"))[0];
      });
      assert.equal(loaded.source, "peers");
      assert.equal(network.state.model.checkpoint.kind, "P2P");
      await network.until(
        "equal weights",
        120,
        async () => agreement([await old.events(), await newcomer.events()]) >= 2,
      );
      await network.assertNobodyCrashed();
    });
  },
});
