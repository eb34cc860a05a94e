/** The JSON document of a run; commands.md section 9.1. */
import { PublicKey } from "@solana/web3.js";
import { parse as parseToml } from "smol-toml";
import { ClientState, type CoordinatorState } from "../protocol/coordinator_state.ts";
import { formatRunConfig } from "../protocol/run_config.ts";
import { runStateText } from "../protocol/run_state.ts";
import type { RunOnChain } from "./read_run.ts";
import { tokenAmount } from "./token_amount.ts";
import type { Treasury } from "./treasury.ts";

const CLIENT_STATE_TEXT = Object.fromEntries(
  Object.entries(ClientState).map(([text, value]) => [value, text]),
);

/** `config` and `model` with the names and the shape of the configuration file. */
function configurationTables({ config, model }: CoordinatorState): Record<string, unknown> {
  try {
    return parseToml(formatRunConfig(config, model), { integersAsBigInt: true });
  } catch {
    // Times above 2^63 do not fit into TOML; a dump shows them all the same.
    return { config, model };
  }
}

/** Keys are full base58 addresses; u64 values stay bigints for the printer. */
export function describeRun(
  run: RunOnChain,
  treasury: Treasury | null = null,
): Record<string, unknown> {
  const { state } = run;
  const { clientsState, epochState } = state;
  const key = (bytes: Uint8Array) => new PublicKey(bytes).toBase58();
  const members = (clients: typeof epochState.clients) =>
    Object.fromEntries(
      clients.map((client) => [key(client.id.signer), CLIENT_STATE_TEXT[client.state]]),
    );
  const sum = (values: bigint[]) => values.reduce((total, value) => total + value, 0n);
  const rates = ({ earningRateTotalShared, slashingRatePerClient }: typeof futureRates) => ({
    earning: earningRateTotalShared,
    slashing: slashingRatePerClient,
  });
  const futureRates = clientsState.futureEpochRates;
  const { clients } = clientsState;
  return {
    coordinator_instance: {
      address: run.instance.toBase58(),
      join_authority: run.joinAuthority.toBase58(),
      main_authority: run.mainAuthority.toBase58(),
    },
    coordinator_account: {
      address: run.coordinatorAccount.toBase58(),
      run_id: state.runId,
      setup: {
        client_version: state.clientVersion,
        metadata: {
          name: state.metadata.name,
          description: state.metadata.description,
          num_parameters: state.metadata.numParameters,
          vocab_size: state.metadata.vocabSize,
        },
        ...configurationTables(state),
      },
      status: {
        next_active: clientsState.nextActive,
        state: runStateText(state.runState),
        epoch: state.progress.epoch,
        step: state.progress.step,
      },
      epoch: {
        clients: { alive: members(epochState.clients), exited: members(epochState.exitedClients) },
        rates: { current: rates(clientsState.currentEpochRates), future: rates(futureRates) },
      },
      clients: Object.fromEntries(
        clients.map(({ id, active, earned, slashed }) => [
          key(id.signer),
          { active, earned, slashed },
        ]),
      ),
      accounting: {
        max_active: clients.reduce((most, { active }) => active > most ? active : most, 0n),
        sum_earned: sum(clients.map(({ earned }) => earned)),
        sum_slashed: sum(clients.map(({ slashed }) => slashed)),
      },
      nonce: state.nonce,
    },
    treasurer_run: treasury === null ? null : describeTreasurer(state, treasury),
  };
}

/** Points are base units; amounts are whole tokens as decimal text, exact at any size. */
function describeTreasurer(state: CoordinatorState, treasury: Treasury): Record<string, unknown> {
  const { treasurer, decimals, vault } = treasury;
  const { clients, currentEpochRates } = state.clientsState;
  const earned = clients.reduce((sum, client) => sum + client.earned, 0n);
  const unclaimed = positive(earned - treasurer.totalClaimedEarnedPoints);
  const surplus = positive(vault - unclaimed);
  const burn = currentEpochRates.earningRateTotalShared;
  const ui = (raw: bigint) => tokenAmount(raw, decimals).ui;
  return {
    address: treasurer.address.toBase58(),
    // As text, because most indexes are no exact JSON numbers.
    index: treasurer.index.toString(),
    main_authority: treasurer.mainAuthority.toBase58(),
    join_authority: treasurer.joinAuthority.toBase58(),
    collateral_mint: treasurer.collateralMint.toBase58(),
    collateral_decimals: decimals,
    funded_collateral_amount: ui(vault),
    total_claimed_earned_points: treasurer.totalClaimedEarnedPoints,
    total_claimable_earned_points: earned,
    total_unclaimed_earned_points: unclaimed,
    total_missing_collateral_amount: ui(positive(unclaimed - vault)),
    total_surplus_collateral_amount: ui(surplus),
    burn_collateral_amount_per_epoch: ui(burn),
    estimated_funded_epochs_count: burn === 0n ? null : Number(surplus) / Number(burn),
  };
}

function positive(value: bigint): bigint {
  return value > 0n ? value : 0n;
}
