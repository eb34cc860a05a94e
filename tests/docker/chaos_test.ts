/**
 * docs/protocol/docker.md section 7, scenario 4 and the chaos scenarios: slow, lossy and cut networks, a
 * validator that stands still. A fault lasts for a time; what is waited for is what the chain says.
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { ContainerNetwork, type Fault, SHORT_EPOCHS } from "./container_network.ts";
import { withoutEngine } from "./engine.ts";
import { agreement, assertLossesFall } from "./training_report.ts";

/** How long a fault lasts. */
const FAULT_MILLISECONDS = 15_000;

/** Rounds end early when all is well, so that wide limits cost time only when it is not. */
const CONFIG = { ...SHORT_EPOCHS, warmup_time: 300, max_round_train_time: 200, epoch_time: 301 };

Deno.test({
  name: "networks that are slow, lossy or cut, and a validator that stands still, cost time only",
  ignore: withoutEngine,
  async fn(t) {
    await using network = await ContainerNetwork.start({ clients: 1, config: CONFIG });
    const everybody = () => Promise.all(network.clients.map((client) => client.allEvents()));
    /** While the faults last and for two epochs more nobody crashes, and losses fall. */
    const survive = async (faults: Promise<AsyncDisposable>[]) => {
      const { epoch } = network.state.progress;
      await using stack = new AsyncDisposableStack();
      for (const fault of await Promise.all(faults)) stack.use(fault);
      await delay(FAULT_MILLISECONDS);
      await stack.disposeAsync();
      const since = network.state.progress.epoch;
      const members = network.clients.length;
      await network.until(
        "two epochs",
        180,
        ({ progress, epochState, runState }) =>
          progress.epoch >= since + 2 && epochState.clients.length === members &&
          runState === RunState.RoundTrain,
      );
      await network.assertNobodyCrashed();
      const events = await everybody();
      assertLossesFall(events, epoch);
      agreement(events);
    };
    const spoilClients = (fault: Fault) =>
      network.clients.map(({ name }) => network.spoil(name, fault));

    await t.step("a fault is a fault", async () => {
      const { rpcEndpoint } = network;
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "getHealth" });
      const ask = async () => {
        const start = performance.now();
        const headers = { "content-type": "application/json" };
        await (await fetch(rpcEndpoint, { method: "POST", headers, body })).text();
        return performance.now() - start;
      };
      {
        await using _late = await network.spoil(network.validator, { delay: 700, jitter: 100 });
        assert.ok(await ask() > 600);
      }
      assert.ok(await ask() < 600);
    });

    await t.step("4: a newcomer takes the model from a peer whose network is slow", async () => {
      const newcomer = await network.addClient();
      await network.until(
        "a round while it waits",
        90,
        async ({ runState }) =>
          runState === RunState.RoundTrain && (await newcomer.eventsOf("waiting")).length > 0,
      );
      const { epoch } = network.state.progress;
      await using _slow = await network.spoil(
        network.clients[0].name,
        { delay: 2000, jitter: 500 },
      );
      const loaded = await network.until("its model", 180, async (state) => {
        assert.ok(state.progress.epoch <= epoch + 1, `epoch ${state.progress.epoch}`);
        return (await newcomer.eventsOf("model_loaded"))[0];
      });
      assert.equal(loaded.source, "peers");
      await network.assertNobodyCrashed();
    });

    await t.step("the validator stands still", () => survive([network.pauseValidator()]));

    await t.step(
      "the validator answers after a second",
      () => survive([network.spoil(network.validator, { delay: 1000, jitter: 500 })]),
    );

    await t.step(
      "the validator answers after five seconds",
      () => survive([network.spoil(network.validator, { delay: 5000, jitter: 500 })]),
    );

    await t.step(
      "the clients' network is slow",
      () => survive(spoilClients({ delay: 1000, jitter: 500 })),
    );

    await t.step(
      "the clients' network loses every fifth packet",
      () => survive(spoilClients({ loss: 0.2 })),
    );

    await t.step("clients reach the chain but not each other", () => {
      const [first, second] = network.clients.map(({ name }) => name);
      return survive([
        network.spoil(first, { loss: 1, to: [second] }),
        network.spoil(second, { loss: 1, to: [first] }),
      ]);
    });

    await t.step(
      "a client is off the network",
      () => survive([network.unplug(network.clients[1].name)]),
    );
  },
});
