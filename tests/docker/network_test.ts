/** Real containers: a network of clients trains, and survives what happens to containers. */
import assert from "node:assert/strict";
import { dockerOutput } from "../../lib/container/docker.ts";
import type { TimedEvent } from "../../lib/events/event.ts";
import { ClientState, RunState } from "../../lib/protocol/coordinator_state.ts";
import { ContainerNetwork } from "./container_network.ts";
import { withoutEngine } from "./engine.ts";

/**
 * Weights by epoch and round, as one client reports them while it is part of the epoch. One that woke up
 * after it was dropped still works off what it had begun; those weights it throws away.
 */
function weights(events: TimedEvent[]): Map<string, string> {
  const left = new Set<number>();
  const found = new Map<string, string>();
  for (const event of events) {
    if (event.type === "left_epoch") left.add(event.epoch);
    if (event.type !== "applied" || left.has(event.epoch)) continue;
    found.set(`${event.epoch}/${event.round}`, event.weights_sha256);
  }
  return found;
}

/** Mean loss of all clients by step, in order. */
function losses(clients: TimedEvent[][]): number[] {
  const byStep = new Map<number, number[]>();
  for (const event of clients.flat()) {
    if (event.type !== "trained") continue;
    byStep.set(event.step, [...byStep.get(event.step) ?? [], event.loss]);
  }
  return [...byStep.entries()].sort(([a], [b]) => a - b)
    .map(([, values]) => values.reduce((sum, value) => sum + value) / values.length);
}

/** How many rounds had weights from several clients; fails when they differ. */
function agreement(clients: TimedEvent[][]): number {
  const all = clients.map(weights);
  let compared = 0;
  for (const round of new Set(all.flatMap((one) => [...one.keys()]))) {
    const seen = all.flatMap((one) => one.get(round) ?? []);
    assert.equal(new Set(seen).size, 1, `weights after round ${round} differ: ${seen}`);
    if (seen.length > 1) compared++;
  }
  return compared;
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value) / values.length;
}

Deno.test({
  name: "a network in containers trains, and goes on when clients are paused, killed and started",
  ignore: withoutEngine,
  async fn(t) {
    await using network = await ContainerNetwork.start(3);
    const everybody = () => Promise.all([1, 2, 3].map((number) => network.events(number)));
    const signer = async (number: number) =>
      (await network.events(number)).findLast((event) => event.type === "joined")?.client;

    await t.step("three clients train, with falling loss and equal weights", async () => {
      const clients = await network.until("ten common rounds", 180, async () => {
        const clients = await everybody();
        return agreement(clients) >= 10 && clients;
      });
      const loss = losses(clients);
      const [first, last] = [mean(loss.slice(0, 3)), mean(loss.slice(-3))];
      console.log(`loss ${first.toFixed(3)} -> ${last.toFixed(3)} in ${loss.length} steps`);
      assert.ok(last < first - 0.3, `${first} -> ${last}`);
      assert.equal((await network.state()).epochState.clients.length, 3);
    });

    await t.step("containers are healthy, without rights and without secrets", async () => {
      await network.until("three healthy containers", 30, async () => {
        const states = await Promise.all(
          [1, 2, 3].map((number) => network.inspect(number, "{{.State.Health.Status}}")),
        );
        return states.every((state) => state === "healthy");
      });
      const [readOnly, user, env] = await Promise.all(
        ["{{.HostConfig.ReadonlyRootfs}}", "{{.Config.User}}", "{{json .Config.Env}}"].map((
          format,
        ) => network.inspect(1, format)),
      );
      assert.deepEqual([readOnly, user], ["true", "psyche"]);
      assert.doesNotMatch(env, /PRIVATE_KEY/);
      // A key is an array of 64 numbers.
      assert.doesNotMatch(await network.inspect(1, "{{json .}}"), /(\d+,\s*){60}/);
    });

    await t.step("a client killed in a round is dropped, and the others go on", async () => {
      await network.until(
        "a round",
        60,
        async () => (await network.state()).runState === RunState.RoundTrain,
      );
      const before = await network.state();
      await dockerOutput(["kill", network.client(3)]);
      await network.until("three more steps without it", 120, async () => {
        const { progress, epochState } = await network.state();
        const gone = epochState.clients.every(({ state }) => state === ClientState.Healthy)
          ? epochState.clients.length <= 2
          : epochState.clients.some(({ state }) => state !== ClientState.Healthy);
        return gone && progress.step >= before.progress.step + 3;
      });
      assert.equal(await network.inspect(3, "{{.State.ExitCode}}"), "137");
      for (const number of [1, 2]) {
        assert.equal(await network.inspect(number, "{{.State.Running}}"), "true");
      }
      agreement(await everybody());
    });

    await t.step(
      "started again it joins the next epoch and takes the model from peers",
      async () => {
        const lived = (await network.events(3)).length;
        await dockerOutput(["start", network.client(3)]);
        const source = await network.until("the model from peers", 200, async () => {
          const news = (await network.events(3)).slice(lived);
          const loaded = news.find((event) => event.type === "model_loaded");
          return loaded?.type === "model_loaded" && loaded.source;
        });
        console.log(`model from ${source}`);
        await network.until("its weights again equal to those of others", 120, async () => {
          const [one, , three] = await everybody();
          return agreement([one, three.slice(lived)]) >= 2;
        });
      },
    );

    await t.step("a paused client comes back by itself", async () => {
      const epoch = (await network.state()).progress.epoch;
      await dockerOutput(["pause", network.client(2)]);
      const before = (await network.state()).progress.step;
      await network.until(
        "steps without it",
        120,
        async () => (await network.state()).progress.step >= before + 3,
      );
      await dockerOutput(["unpause", network.client(2)]);
      await network.until(
        "it trains in a later epoch",
        240,
        async () =>
          (await network.events(2)).some((event) =>
            event.type === "trained" && event.epoch > epoch
          ),
      );
      agreement(await everybody());
    });

    await t.step(
      "the owner, a container too, pauses and resumes the run; nobody crashes",
      async () => {
        const owner = (...args: string[]) =>
          network.compose(
            ...["run", "--rm", "--no-deps", "psyche-run-owner", "set-paused"],
            ...["--wallet-private-key-path", "/data/keys/run-owner.json", ...args],
          );
        await owner();
        await network.until(
          "a halted run",
          120,
          async () => (await network.state()).runState === RunState.Paused,
        );
        const { progress } = await network.state();
        await owner("--resume");
        await network.until(
          "steps after the pause",
          240,
          async () => (await network.state()).progress.step >= progress.step + 2,
        );
        for (const number of [1, 2, 3]) {
          assert.equal(await network.inspect(number, "{{.State.Running}}"), "true");
        }
        agreement(await everybody());
      },
    );

    await t.step("asked to stop, a client leaves politely", async () => {
      const client = await signer(2);
      await dockerOutput(["stop", "--time", "30", network.client(2)]);
      assert.equal(await network.inspect(2, "{{.State.ExitCode}}"), "0");
      const last = (await network.events(2)).at(-1);
      assert.deepEqual([last?.type, last?.client], ["stopped", client]);
    });
  },
});
