/** docs/protocol/docker.md section 7, scenario 11: two ways to the chain, of which one or the other is cut. */
import assert from "node:assert/strict";
import { dockerOutput } from "../../lib/container/docker.ts";
import { ContainerNetwork, SHORT_EPOCHS } from "./container_network.ts";
import { withoutEngine } from "./engine.ts";
import { agreement, assertLossesFall } from "./training_report.ts";

Deno.test({
  name: "clients behind two proxies train on while one or the other is gone",
  ignore: withoutEngine,
  async fn(t) {
    await using network = await ContainerNetwork.start({
      clients: 2,
      config: SHORT_EPOCHS,
      proxies: true,
    });
    const everybody = () => Promise.all(network.clients.map((client) => client.events()));
    const cut = async (service: string, steps: number) => {
      const { step } = network.state.progress;
      await dockerOutput(["stop", "--time", "5", network.service(service)]);
      await network.until(
        "steps without it",
        120,
        ({ progress, epochState }) =>
          progress.step >= step + steps && epochState.clients.length === 2,
      );
      await dockerOutput(["start", network.service(service)]);
    };

    await t.step("11: the first is cut, then the second; nobody crashes", async () => {
      await network.until("step 5", 120, ({ progress }) => progress.step >= 5);
      await cut("rpc-proxy-1", 3);
      await network.until("step 15", 120, ({ progress }) => progress.step >= 15);
      await cut("rpc-proxy-2", 3);
      await network.until("epoch 3", 240, ({ progress }) => progress.epoch >= 3);
      await network.assertNobodyCrashed();
      const events = await everybody();
      assertLossesFall(events);
      assert.ok(agreement(events) >= 6);
      for (const client of network.clients) {
        assert.match(await client.words(), /rpc-proxy-1:8899\S* failed .* asking \S*rpc-proxy-2/);
      }
    });
  },
});
