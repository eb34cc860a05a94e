/** docs/protocol/docker.md section 7, scenarios 1 to 3: epoch after epoch, and newcomers. */
import assert from "node:assert/strict";
import type { ContainerClient } from "./container_client.ts";
import { ContainerNetwork, SHORT_EPOCHS } from "./container_network.ts";
import { withoutEngine } from "./engine.ts";
import { agreement, assertLossesFall } from "./training_report.ts";

Deno.test({
  name: "one client, then two, then four: losses fall over epochs, newcomers ask their peers",
  ignore: withoutEngine,
  async fn(t) {
    await using network = await ContainerNetwork.start({ clients: 1, config: SHORT_EPOCHS });
    const everybody = () => Promise.all(network.clients.map((client) => client.events()));
    const threeEpochs = async () => {
      const { epoch } = network.state.progress;
      await network.until("three epochs", 180, ({ progress }) => progress.epoch >= epoch + 3);
      assertLossesFall(await everybody(), epoch);
      await network.assertNobodyCrashed();
    };
    /** Waits until each of them has the model and the chain counts them; both before two more epochs. */
    const takeModelFromPeers = async (newcomers: ContainerClient[]) => {
      const { epoch } = network.state.progress;
      const loaded = await network.until("models of the newcomers", 120, async (state) => {
        assert.ok(state.progress.epoch <= epoch + 2, `epoch ${state.progress.epoch}`);
        const loaded = (await Promise.all(newcomers.map((one) => one.eventsOf("model_loaded"))))
          .flatMap(([first]) => first ?? []);
        return loaded.length === newcomers.length && loaded;
      });
      assert.deepEqual(loaded.map(({ source }) => source), newcomers.map(() => "peers"));
      assert.equal(network.state.model.checkpoint.kind, "P2P");
      const all = network.clients.length;
      await network.until(
        "an epoch with all of them",
        60,
        ({ epochState }) => epochState.clients.length === all,
      );
    };

    await t.step("1: one client trains for three epochs", async () => {
      await threeEpochs();
      assert.equal(network.state.model.checkpoint.kind, "P2P");
    });

    await t.step("3: a newcomer takes the model from its only peer", async () => {
      await takeModelFromPeers([await network.addClient()]);
    });

    await t.step("2: two clients train for three epochs", async () => {
      await threeEpochs();
      assert.ok(agreement(await everybody()) >= 6);
    });

    await t.step("3: two newcomers at once take it from their peers", async () => {
      await takeModelFromPeers(await Promise.all([network.addClient(), network.addClient()]));
      const before = agreement(await everybody());
      await network.until(
        "rounds of all",
        90,
        async () => agreement(await everybody()) >= before + 3,
      );
      await network.assertNobodyCrashed();
    });
  },
});
