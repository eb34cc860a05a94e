/** docs/protocol/docker.md section 7, chaos of the validator: it stands still, or answers late. */
import assert from "node:assert/strict";
import { ContainerNetwork, type Fault } from "./container_network.ts";
import { withoutEngine } from "./engine.ts";
import { PATIENT, survive } from "./survive.ts";

Deno.test({
  name: "a validator that stands still or is slow costs time only",
  ignore: withoutEngine,
  async fn(t) {
    await using network = await ContainerNetwork.start({ clients: 2, config: PATIENT });
    const slow = (fault: Fault) => () => [network.spoil(network.validator, fault)];

    await t.step("a delay is felt, and ends", async () => {
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "getHealth" });
      const headers = { "content-type": "application/json" };
      const ask = async () => {
        const start = performance.now();
        await (await fetch(network.rpcEndpoint, { method: "POST", headers, body })).text();
        return performance.now() - start;
      };
      {
        await using _late = await network.spoil(network.validator, { delay: 2000, jitter: 100 });
        assert.ok(await ask() > 1900);
      }
      assert.ok(await ask() < 1900);
    });

    await t.step("it stands still", () => survive(network, () => [network.pauseValidator()]));

    await t.step(
      "it answers after a second",
      () => survive(network, slow({ delay: 1000, jitter: 500 })),
    );

    await t.step(
      "it answers after five seconds",
      () => survive(network, slow({ delay: 5000, jitter: 500 })),
    );
  },
});
