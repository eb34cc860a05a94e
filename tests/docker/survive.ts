/** The criterion of the chaos scenarios, docs/protocol/docker.md section 7. */
import { setTimeout as delay } from "node:timers/promises";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { currentRound } from "../../lib/protocol/run_state.ts";
import { type ContainerNetwork, SHORT_EPOCHS } from "./container_network.ts";
import { agreement, assertLossesFall } from "./training_report.ts";

/** How long a fault lasts; less than a round may, so that it costs time only. */
export const FAULT_MILLISECONDS = 10_000;

/** Rounds end early when all is well, so a wide limit costs time only when it is not. */
export const PATIENT = { ...SHORT_EPOCHS, max_round_train_time: 300, epoch_time: 301 };

/**
 * Lets faults last for a while. From their beginning to everybody's training in the epoch after the next
 * no client crashes, losses fall from epoch to epoch, and members hold the same weights.
 */
export async function survive(network: ContainerNetwork, begin: () => Promise<AsyncDisposable>[]) {
  await network.until(
    "a later round of everybody",
    120,
    (state) =>
      state.runState === RunState.RoundTrain && currentRound(state).height > 0 &&
      state.epochState.clients.length === network.clients.length,
  );
  const { epoch } = network.state.progress;
  {
    await using faults = new AsyncDisposableStack();
    for (const fault of await Promise.all(begin())) faults.use(fault);
    await delay(FAULT_MILLISECONDS);
  }
  await network.until(
    "two epochs of everybody",
    180,
    (state) =>
      state.progress.epoch >= epoch + 2 && state.runState === RunState.RoundTrain &&
      state.epochState.clients.length === network.clients.length,
  );
  await network.assertNobodyCrashed();
  const events = await Promise.all(network.clients.map((client) => client.allEvents()));
  assertLossesFall(events, epoch);
  agreement(events);
}
