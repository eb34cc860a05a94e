/** When a client may use its trainer for something else. */
import assert from "node:assert/strict";
import type { IdleWork } from "../../lib/client/idle_evaluation.ts";
import type { Trainer } from "../../lib/trainer/trainer.ts";
import { SimulatedRun } from "./simulated_run.ts";

/** Far more than the simulation needs. */
const LIMIT = 60_000;

/** Notes when it may work, and that the trainer is never trained or changed meanwhile. */
class WatchedIdle implements IdleWork {
  /** Steps of the idle times; -1 for each end. */
  readonly times: number[] = [];
  readonly collisions: string[] = [];
  reports = 0;
  #isIdle = false;
  readonly #watched = new WeakSet<Trainer>();

  begin(trainer: Trainer, step: number): void {
    this.#isIdle = true;
    this.times.push(step);
    if (this.#watched.has(trainer)) return;
    this.#watched.add(trainer);
    for (const method of ["train", "apply"] as const) {
      const original = trainer[method].bind(trainer) as (...values: unknown[]) => Promise<never>;
      trainer[method] = (...values: unknown[]) => {
        if (this.#isIdle) this.collisions.push(`${method} at ${this.times}`);
        return original(...values);
      };
    }
  }

  stop(): void {
    this.#isIdle = false;
    this.times.push(-1);
  }

  get isIdle(): boolean {
    return this.#isIdle;
  }

  report() {
    this.reports++;
    return { evals: [], promptIndex: 0, promptResults: [] };
  }
}

Deno.test("idle times lie in Warmup, after each round's training and in Cooldown, and nowhere else", async () => {
  const idle: WatchedIdle[] = [];
  const run = new SimulatedRun({
    seed: 5,
    clients: 3,
    totalSteps: 30,
    epochTime: 20,
    idle: (number) => idle[number - 1] = new WatchedIdle(),
  });
  assert.deepEqual(await run.finish(LIMIT), ["finished", "finished", "finished"]);
  assert.deepEqual(run.monitor.weights.differing, []);
  for (const [i, { events }] of run.clients.entries()) {
    const { times, collisions, reports, isIdle } = idle[i];
    assert.deepEqual(collisions, []);
    assert.equal(isIdle, false);
    const epochs = new Set(events.flatMap((e) => e.type === "round" ? [e.epoch] : []));
    assert.ok(epochs.size >= 2, "the run was too short for a second epoch");
    const trained = new Set(events.flatMap((e) => e.type === "trained" ? [e.step] : []));
    const steps = new Set(times);
    const quiet = [...trained].filter((step) => !steps.has(step));
    assert.ok(quiet.length <= trained.size / 4, `no idle time in the steps ${quiet}: ${times}`);
    // Once a round, in which this client is a witness.
    const rounds = events.filter((event) => event.type === "round").length;
    assert.ok(reports > 0 && reports <= rounds + epochs.size, `${reports} of ${rounds}`);
  }
});
