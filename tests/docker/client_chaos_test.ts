/** docs/protocol/docker.md section 7, chaos of the clients' networks: slow, lossy, cut. */
import { ContainerNetwork, type Fault } from "./container_network.ts";
import { withoutEngine } from "./engine.ts";
import { PATIENT, survive } from "./survive.ts";

Deno.test({
  name: "clients' networks that are slow, lossy or cut cost time only",
  ignore: withoutEngine,
  async fn(t) {
    await using network = await ContainerNetwork.start({ clients: 2, config: PATIENT });
    const [first, second] = network.clients.map(({ name }) => name);
    const spoilt = (fault: Fault) => () =>
      [first, second].map((client) => network.spoil(client, fault));

    await t.step("slow", () => survive(network, spoilt({ delay: 1000, jitter: 500 })));

    await t.step("every fifth packet is lost", () => survive(network, spoilt({ loss: 0.2 })));

    await t.step("the chain is reached, the other client is not", () =>
      survive(network, () => [
        network.spoil(first, { loss: 1, to: [second] }),
        network.spoil(second, { loss: 1, to: [first] }),
      ]));

    await t.step(
      "one of them is off the network",
      () => survive(network, () => [network.unplug(second)]),
    );
  },
});
