import { equalBytes } from "../protocol/bytes.ts";
import { ClientState, type CoordinatorState, RunState } from "../protocol/coordinator_state.ts";
import { isHalted, pendingClients } from "../protocol/run_state.ts";

/**
 * Why a wallet must not join a run whose optimizer exchanges nothing (AdamW), or null. Each client of
 * such a run would train a model of its own, so only one may take part
 * (docs/protocol/training-math.md section 4).
 *
 * @param signer the wallet's 32 bytes
 */
export function companyProblem(state: CoordinatorState, signer: Uint8Array): string | null {
  if (state.model.optimizer.kind !== "AdamW" || state.runState === RunState.Finished) return null;
  const { minClients, initMinClients } = state.config;
  const needed = Math.max(minClients, initMinClients);
  if (needed > 1) {
    return `the optimizer AdamW exchanges nothing, so one client has to train alone, but the run ` +
      `waits for ${needed}: its owner can set min_clients and init_min_clients to 1, or use Distro`;
  }
  const [other] = othersBefore(state, signer);
  if (other === undefined) return null;
  return `the optimizer AdamW exchanges nothing, so one client has to train alone, and client ` +
    `${other.toHex().slice(0, 8)} takes part already: wait until it has left (the command tick ` +
    "moves a run on whose client is gone), or ask the owner for the optimizer Distro";
}

/**
 * Wallets of those who came before `signer`, in the epoch that runs or for the next one. Who is a member
 * already goes on, whoever comes later, so of two who join at once exactly one is turned away.
 */
function othersBefore(state: CoordinatorState, signer: Uint8Array): Uint8Array[] {
  const { runState, epochState } = state;
  const isEpoch = !isHalted(runState) && runState !== RunState.WaitingForMembers;
  const present = epochState.clients
    .filter((client) => isEpoch && client.state === ClientState.Healthy)
    .map((client) => client.id.signer);
  const pending = pendingClients(state).map((client) => client.signer);
  const members = [...present, ...pending];
  const own = members.findIndex((member) => equalBytes(member, signer));
  return own < 0 ? members : members.slice(0, own);
}
