/** Three clients in containers train, and survive what happens to containers; docs/protocol/docker.md section 7. */
import assert from "node:assert/strict";
import bs58 from "bs58";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { ContainerNetwork } from "./container_network.ts";
import { withoutEngine } from "./engine.ts";
import { agreement, lossesByStep, mean } from "./training_report.ts";

/** Chain seconds. */
const EPOCH_TIME = 900;

Deno.test({
  name: "a network in containers trains, and goes on when clients are paused, killed and started",
  ignore: withoutEngine,
  async fn(t) {
    await using network = await ContainerNetwork.start({
      clients: 3,
      config: { epoch_time: EPOCH_TIME },
    });
    const [first, second, third] = network.clients;
    const everybody = () => Promise.all(network.clients.map((client) => client.allEvents()));

    await t.step("three clients train, with falling loss and equal weights", async () => {
      const clients = await network.until("ten common rounds", 180, async () => {
        const clients = await everybody();
        return agreement(clients) >= 10 && clients;
      });
      const loss = lossesByStep(clients);
      const [before, after] = [mean(loss.slice(0, 3)), mean(loss.slice(-3))];
      console.log(`loss ${before.toFixed(3)} -> ${after.toFixed(3)} in ${loss.length} steps`);
      assert.ok(after < before - 0.3, `${before} -> ${after}`);
      assert.equal(network.state.epochState.clients.length, 3);
    });

    await t.step("containers are healthy, without rights and without secrets", async () => {
      await network.until("three healthy containers", 30, async () => {
        const format = "{{.State.Health.Status}}";
        const states = await Promise.all(network.clients.map((client) => client.inspect(format)));
        return states.every((state) => state === "healthy");
      });
      const [readOnly, user, env] = await Promise.all(
        ["{{.HostConfig.ReadonlyRootfs}}", "{{.Config.User}}", "{{json .Config.Env}}"]
          .map((format) => first.inspect(format)),
      );
      assert.deepEqual([readOnly, user], ["true", "psyche"]);
      assert.doesNotMatch(env, /PRIVATE_KEY/);
      // A key is an array of 64 numbers.
      assert.doesNotMatch(await first.inspect("{{json .}}"), /(\d+,\s*){60}/);
    });

    await t.step(
      "5: a client killed in a round is reported and dropped; the others go on",
      async () => {
        // It takes three rounds until it is dropped; the epoch has to last.
        const { epochState, progress } = await network.until(
          "a round of three in the first half of an epoch",
          180,
          (state) =>
            state.runState === RunState.RoundTrain && state.epochState.clients.length === 3 &&
            state.runStateStartUnixTimestamp - state.epochState.startTimestamp < EPOCH_TIME / 2 &&
            state,
        );
        const wallet = await third.wallet();
        await third.kill();
        await network.until(
          "three more steps without it",
          120,
          (state) =>
            state.epochState.clients.length === 2 && state.progress.step > progress.step + 2,
        );
        assert.equal(await third.inspect("{{.State.ExitCode}}"), "137");
        const [lost] = network.state.epochState.exitedClients;
        assert.equal(bs58.encode(lost.id.signer), wallet);
        // The chain takes one report and refuses the other.
        for (const client of [first, second]) {
          const reports = await client.eventsOf("unhealthy");
          assert.equal(reports.length, 1, JSON.stringify(reports));
          assert.equal(reports[0].member, lost.id.signer.toHex().slice(0, 8));
          const untrained = await client.eventsOf("untrained_batch");
          assert.ok(untrained.length <= 3, JSON.stringify(untrained));
        }
        assert.equal(epochState.startTimestamp, network.state.epochState.startTimestamp);
        await network.assertNobodyCrashed();
        agreement(await everybody());
      },
    );

    await t.step(
      "started again it joins the next epoch and takes the model from peers",
      async () => {
        await third.start();
        const loaded = await network.until(
          "the model",
          200,
          async () => (await third.eventsOf("model_loaded"))[0],
        );
        assert.equal(loaded.source, "peers");
        await network.until(
          "its weights again equal to those of others",
          120,
          async () => agreement([await first.events(), await third.events()]) >= 2,
        );
      },
    );

    await t.step("a paused client comes back by itself", async () => {
      const { epoch } = network.state.progress;
      await second.pause();
      await network.until(
        "it is dropped, or waited for",
        120,
        ({ epochState, runState }) =>
          epochState.clients.length === 2 || runState === RunState.WaitingForMembers,
      );
      await second.unpause();
      await network.until(
        "it trains in a later epoch",
        240,
        async () => (await second.eventsOf("trained")).some((event) => event.epoch > epoch),
      );
      agreement(await everybody());
    });

    await t.step("the owner, a container too, pauses and resumes the run", async () => {
      await network.owner("set-paused");
      await network.until("a halted run", 120, ({ runState }) => runState === RunState.Paused);
      const { step } = network.state.progress;
      await network.owner("set-paused", "--resume");
      await network.until(
        "steps after the pause",
        240,
        ({ progress }) => progress.step >= step + 2,
      );
      await network.assertNobodyCrashed();
      agreement(await everybody());
    });

    await t.step("asked to stop, a client leaves politely", async () => {
      const wallet = await second.wallet();
      await second.stop();
      assert.equal(await second.inspect("{{.State.ExitCode}}"), "0");
      const last = (await second.events()).at(-1);
      assert.deepEqual([last?.type, last?.client], ["stopped", wallet]);
    });
  },
});
