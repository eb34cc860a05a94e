/** What clients reported about their training, compared. */
import assert from "node:assert/strict";
import type { TimedEvent } from "../../lib/events/event.ts";

/** Losses of successive epochs may wander by so much; docs/protocol/docker.md section 7, scenario 1. */
const WANDERING = 1.1;
/** Of an epoch, whose losses stand for its beginning. */
const FIRST_STEPS = 5;

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
    found.set(`${event.epoch}/${event.round}`, event.weights_fingerprint);
  }
  return found;
}

/** How many rounds had weights from several clients; fails when they differ. */
export function agreement(clients: TimedEvent[][]): number {
  const all = clients.map(weights);
  let compared = 0;
  for (const round of new Set(all.flatMap((one) => [...one.keys()]))) {
    const seen = all.flatMap((one) => one.get(round) ?? []);
    assert.equal(new Set(seen).size, 1, `weights after round ${round} differ: ${seen}`);
    if (seen.length > 1) compared++;
  }
  return compared;
}

/** Mean loss of all clients by step, in order. */
export function lossesByStep(clients: TimedEvent[][]): number[] {
  const byStep = new Map<number, number[]>();
  for (const event of clients.flat()) {
    if (event.type !== "trained") continue;
    byStep.set(event.step, [...byStep.get(event.step) ?? [], event.loss]);
  }
  return [...byStep].sort(([a], [b]) => a - b).map(([, values]) => mean(values));
}

/**
 * Mean loss of the first steps that were trained in each epoch, by epoch, in order. Several, because
 * batches are small and some texts are easier than others.
 */
export function firstLosses(clients: TimedEvent[][]): { epoch: number; loss: number }[] {
  const epochs = new Map<number, Map<number, number[]>>();
  for (const event of clients.flat()) {
    if (event.type !== "trained") continue;
    const steps = epochs.get(event.epoch) ?? new Map<number, number[]>();
    epochs.set(event.epoch, steps.set(event.step, [...steps.get(event.step) ?? [], event.loss]));
  }
  return [...epochs].sort(([a], [b]) => a - b).map(([epoch, steps]) => {
    const first = [...steps].sort(([a], [b]) => a - b).slice(0, FIRST_STEPS);
    return { epoch, loss: mean(first.flatMap(([, losses]) => losses)) };
  });
}

/** Fails when an epoch after `since` began with a loss clearly above that of the one before. */
export function assertLossesFall(clients: TimedEvent[][], since = 0) {
  const found = firstLosses(clients).filter(({ epoch }) => epoch >= since);
  const text = found.map(({ epoch, loss }) => `${epoch}: ${loss.toFixed(3)}`).join(", ");
  console.log(`first loss by epoch: ${text}`);
  assert.ok(found.length >= 2, `losses of too few epochs: ${text}`);
  found.slice(1).forEach(({ loss }, i) => assert.ok(loss < found[i].loss * WANDERING, text));
}

export function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value) / values.length;
}
