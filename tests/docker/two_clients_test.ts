/** docs/protocol/docker.md section 7, scenarios 6 and 7: a run that needs two clients loses one, then both. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { currentRound, pendingClients } from "../../lib/protocol/run_state.ts";
import { ContainerNetwork, SHORT_EPOCHS } from "./container_network.ts";
import { withoutEngine } from "./engine.ts";
import { agreement, assertLossesFall } from "./training_report.ts";

Deno.test({
  name: "a run of two waits when it loses one, and starts from the Hub again when it loses both",
  ignore: withoutEngine,
  async fn(t) {
    const config = { ...SHORT_EPOCHS, min_clients: 2, waiting_for_members_extra_time: 50 };
    await using network = await ContainerNetwork.start({ clients: 2, config });

    await t.step(
      "6: a client is lost before the epoch; the run waits for another one",
      async () => {
        await network.until(
          "both to wait",
          90,
          (state) =>
            state.runState === RunState.WaitingForMembers && pendingClients(state).length === 2,
        );
        await network.clients[1].kill();
        await network.until(
          "the run to wait again",
          180,
          (state) =>
            state.runState === RunState.WaitingForMembers && state.epochState.clients.length < 2 &&
            state.progress.epoch > 0 && pendingClients(state).length === 1,
        );
        const seen = network.history.length;
        // Ten times the time that it waits for further members.
        await delay(50_000 / 10 * 1.5);
        const since = network.history.slice(seen - 1);
        assert.ok(since.every(({ runState }) => runState === RunState.WaitingForMembers));
        await network.addClient();
        await network.until("a warmup", 60, ({ runState }) => runState === RunState.Warmup);
        await network.assertNobodyCrashed();
      },
    );

    await t.step("7: all clients leave: the checkpoint is the Hub's again", async () => {
      const first = network.state.progress.epoch;
      await network.until(
        "rounds of the next epoch, from peers",
        120,
        (state) =>
          state.progress.epoch > first && state.model.checkpoint.kind === "P2P" &&
          state.runState === RunState.RoundTrain && currentRound(state).height > 0,
      );
      const { epoch } = network.state.progress;
      const remaining = network.clients.filter(({ shouldRun }) => shouldRun);
      const events = await Promise.all(remaining.map((client) => client.events()));
      await Promise.all(remaining.map((client) => client.kill()));
      assertLossesFall(events, first);
      const newcomers = await Promise.all([network.addClient(), network.addClient()]);
      await network.until("the Hub checkpoint", 120, ({ model, progress }) => {
        assert.ok(progress.epoch < epoch + 3, `epoch ${progress.epoch}`);
        return model.checkpoint.kind === "Hub";
      });
      for (const one of newcomers) {
        const [loaded] = await network.until("its model", 60, async () => {
          const loaded = await one.eventsOf("model_loaded");
          return loaded.length > 0 && loaded;
        });
        assert.notEqual(loaded.source, "peers");
      }
      await network.until(
        "rounds with equal weights",
        90,
        async () => agreement(await Promise.all(newcomers.map((one) => one.events()))) >= 2,
      );
      await network.assertNobodyCrashed();
    });
  },
});
