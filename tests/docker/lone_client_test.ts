/** docs/protocol/docker.md section 7, scenarios 10, 8 and 9: runs that lose the only client they have. */
import assert from "node:assert/strict";
import { join } from "node:path";
import bs58 from "bs58";
import { createWallet } from "../../lib/chain/wallet.ts";
import { type CoordinatorState, RunState } from "../../lib/protocol/coordinator_state.ts";
import type { ContainerClient } from "./container_client.ts";
import { ContainerNetwork, SHORT_EPOCHS } from "./container_network.ts";
import { withoutEngine } from "./engine.ts";
import { firstLosses } from "./training_report.ts";

/** Wallets of the epoch's members, base58. */
function members({ epochState }: CoordinatorState): string[] {
  return epochState.clients.map(({ id }) => bs58.encode(id.signer));
}

Deno.test({
  name: "a run outlives a pause, and the loss of its only client in a warmup and after an epoch",
  ignore: withoutEngine,
  async fn(t) {
    await using network = await ContainerNetwork.start({ clients: 0, config: SHORT_EPOCHS });
    const folder = await Deno.makeTempDir({ prefix: "psyche-docker-" });
    await using _folder = {
      [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
    };
    const keyFile = join(folder, "id.json");
    const wallet = (await createWallet(keyFile)).publicKey.toBase58();
    /** Waits for a whole epoch of this client alone: from Warmup to the end of Cooldown. */
    const wholeEpochOf = async (client: ContainerClient) => {
      const wallet = await network.until("its first event", 60, () => client.wallet());
      const isItsOwn = (state: CoordinatorState) =>
        members(state).length === 1 && members(state)[0] === wallet;
      const { progress } = await network.until(
        "an epoch of its own",
        180,
        (state) => isItsOwn(state) && state.runState === RunState.RoundTrain && state,
      );
      const before = network.history.length - 1;
      await network.until(
        "the end of that epoch",
        90,
        (state) => state.progress.epoch > progress.epoch,
      );
      const epoch = network.history.slice(before)
        .filter((state) => state.progress.epoch === progress.epoch);
      assert.ok(epoch.every(isItsOwn), "members came or went");
      for (const phase of [RunState.RoundTrain, RunState.RoundWitness, RunState.Cooldown]) {
        assert.ok(epoch.some(({ runState }) => runState === phase), `phase ${phase} is missing`);
      }
      assert.ok(epoch.at(-1)!.progress.step > progress.step);
      await network.assertNobodyCrashed();
    };
    const modelOf = (client: ContainerClient) =>
      network.until("its model", 240, async () => (await client.eventsOf("model_loaded"))[0]);
    let client = await network.addClient(keyFile);

    await t.step("10: paused, killed, resumed and started with the same key", async () => {
      await network.until(
        "step 5",
        90,
        (state) => state.progress.step >= 5 && state.runState === RunState.RoundTrain,
      );
      await network.owner("set-paused");
      await network.until("the pause", 90, ({ runState }) => runState === RunState.Paused);
      const before = firstLosses([await client.events()]).at(-1)!;
      const { epoch } = network.state.progress;
      await client.kill();
      await network.owner("set-paused", "--resume");
      await client.start();
      assert.notEqual((await modelOf(client)).source, "peers");
      await network.until("a whole epoch", 120, ({ progress }) => progress.epoch > epoch);
      assert.equal(await client.wallet(), wallet);
      assert.equal(network.state.clientsState.clients.length, 1, "the chain knows one client");
      const after = firstLosses([await client.events()])[0];
      assert.ok(
        after.loss > 0 && after.loss < 1.25 * before.loss,
        `${before.loss} -> ${after.loss}`,
      );
      await network.assertNobodyCrashed();
    });

    await t.step("8: everybody leaves in a warmup", async () => {
      // What it sends comes late, so that it is certain to be in the warmup when it is killed.
      await using _slow = await network.spoil(client.name, { delay: 3000 });
      await network.until("a warmup", 120, ({ runState }) => runState === RunState.Warmup);
      await client.kill();
      assert.equal(network.state.runState, RunState.Warmup);
      assert.deepEqual(members(network.state), [wallet]);
      client = await network.addClient();
      await wholeEpochOf(client);
      assert.notEqual((await modelOf(client)).source, "peers");
    });

    await t.step(
      "9: the only peer is lost after an epoch: back to the Hub checkpoint",
      async () => {
        await network.until("a round", 90, ({ runState }) => runState === RunState.RoundTrain);
        const second = await network.addClient();
        await network.until("the newcomer", 60, () => second.wallet());
        await network.until("a cooldown", 90, ({ runState }) => runState === RunState.Cooldown);
        await client.kill();
        assert.notEqual((await modelOf(second)).source, "peers");
        await wholeEpochOf(second);
      },
    );
  },
});
