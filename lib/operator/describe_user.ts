/** What the chain knows of one wallet in a run; docs/protocol/commands.md section 9.2. */
import type { PublicKey } from "@solana/web3.js";
import { associatedTokenAddress } from "../chain/pda.ts";
import { fetchTokenBalance } from "../chain/token.ts";
import { fetchParticipant } from "../chain/treasurer.ts";
import { equalBytes } from "../protocol/bytes.ts";
import { ClientState, type EpochClient } from "../protocol/coordinator_state.ts";
import type { ReaderContext } from "./context.ts";
import { readRun } from "./read_run.ts";
import { tokenAmount } from "./token_amount.ts";
import { findTreasury } from "./treasury.ts";

/** @throws PsycheError RUN_NOT_FOUND */
export async function describeUser(
  context: ReaderContext,
  options: { runId: string; address: PublicKey; treasurerIndex?: bigint },
): Promise<Record<string, unknown>> {
  const { connection, programIds: ids } = context;
  const { runId, address } = options;
  const run = await readRun(context, runId, options.treasurerIndex);
  const { clientsState, epochState } = run.state;
  const isUser = ({ id }: { id: { signer: Uint8Array } }) =>
    equalBytes(id.signer, address.toBytes());
  const client = clientsState.clients.find(isUser);
  const treasury = await findTreasury(context, run);
  return {
    address: address.toBase58(),
    lamports: await connection.getBalance(address),
    coordinator_account: {
      client: client === undefined
        ? null
        : { active: client.active, earned: client.earned, slashed: client.slashed },
      epoch_alive: epochClient(epochState.clients.find(isUser)),
      epoch_exited: epochClient(epochState.exitedClients.find(isUser)),
    },
    treasurer_participant: treasury === null ? null : await participant(),
  };

  async function participant() {
    const { treasurer, mint, decimals } = treasury!;
    const accounts = { ids, runId, index: treasurer.index, user: address };
    const [found, held] = await Promise.all([
      fetchParticipant(connection, accounts),
      fetchTokenBalance(connection, associatedTokenAddress(address, mint)),
    ]);
    const ui = (raw: bigint) => tokenAmount(raw, decimals).ui;
    return {
      collateral_mint: mint.toBase58(),
      collateral_amount: ui(held ?? 0n),
      claimed_earned_points: found?.claimedEarnedPoints ?? null,
      claimed_collateral_amount: found === null ? null : ui(found.claimedCollateralAmount),
    };
  }
}

function epochClient(client: EpochClient | undefined) {
  if (client === undefined) return null;
  const [state] = Object.entries(ClientState).find(([, value]) => value === client.state)!;
  return { state, exited_height: client.exitedHeight };
}
