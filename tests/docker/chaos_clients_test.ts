/** docs/protocol/docker.md section 7, chaos of the clients' networks: slow, lossy, cut. */
import { ContainerNetwork, type Fault } from "./container_network.ts";
import { withoutEngine } from "./engine.ts";
import { PATIENT, survive } from "./survive.ts";

Deno.test({
  name: "clients' networks that are slow, lossy or cut cost time only",
  ignore: withoutEngine,
  async fn(t) {
    await using network = await ContainerNetwork.start({ clients: 3, config: PATIENT });
    const names = network.clients.map(({ name }) => name);
    const [first, second, third] = names;
    const spoilt = (fault: Fault) => () => names.map((client) => network.spoil(client, fault));

    await t.step("slow", () => survive(network, spoilt({ delay: 1000, jitter: 500 })));

    await t.step("every fifth packet is lost", () => survive(network, spoilt({ loss: 0.2 })));

    await t.step("one of them reaches the chain, but not the others", () =>
      survive(network, () => [
        network.spoil(third, { loss: 1, to: [first, second] }),
      ]));

    await t.step(
      "one of them is off the network",
      () => survive(network, () => [network.unplug(third)]),
    );
  },
});
