/** The treasurer: runs with rewards, and what its clients claim; docs/protocol/onchain-treasurer.md. */
import { type Connection, PublicKey, type TransactionInstruction } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import type {
  CoordinatorConfig,
  CoordinatorProgress,
  Model,
  RunMetadata,
} from "../protocol/coordinator_state.ts";
import * as values from "./borsh_values.ts";
import { clusterOf } from "./connection.ts";
import { createCoordinatorAccount } from "./coordinator_instructions.ts";
import { instructionBuilder } from "./idl_instruction.ts";
import {
  associatedTokenAddress,
  coordinatorInstanceAddress,
  participantAddress,
  runIdBytes,
  treasurerIndex,
  treasurerRunAddress,
} from "./pda.ts";
import { defaultProgramIds, type ProgramIds, treasurerId, treasurerIdl } from "./programs.ts";

const CLIENT_VERSION_BYTES = 96;
const RUN_DISCRIMINATOR = Uint8Array.of(0xc7, 0x36, 0x9b, 0x56, 0xeb, 0x73, 0xf6, 0xbd);
const PARTICIPANT_DISCRIMINATOR = Uint8Array.of(0x20, 0x8e, 0x6c, 0x4f, 0xf7, 0xb3, 0x36, 0x06);

const build = instructionBuilder(treasurerIdl);

/** The `Run` account, section 2.1. Amounts are base units of the collateral. */
export interface TreasurerRun {
  address: PublicKey;
  bump: number;
  index: bigint;
  /** The operator; the coordinator's main authority is the account itself. */
  mainAuthority: PublicKey;
  joinAuthority: PublicKey;
  coordinatorAccount: PublicKey;
  coordinatorInstance: PublicKey;
  collateralMint: PublicKey;
  /** Token account that claims are paid from. Topping it up is a plain transfer. */
  collateralAccount: PublicKey;
  totalClaimedCollateralAmount: bigint;
  totalClaimedEarnedPoints: bigint;
}

/** The `Participant` account, section 2.2. */
export interface Participant {
  address: PublicKey;
  bump: number;
  claimedCollateralAmount: bigint;
  claimedEarnedPoints: bigint;
}

/** The run that an instruction is about. */
export interface TreasurerAccounts {
  ids?: ProgramIds;
  runId: string;
  /** Default: {@linkcode treasurerIndex} of the run id. */
  index?: bigint;
}

/**
 * Create a run with rewards: system `create_account` of the coordinator's big account and
 * `run_create` (4.1), to go into one transaction that `payer` and the new account's key sign.
 * @throws PsycheError RUN_ID_INVALID, TEXT_TOO_LONG, TREASURER_INDEX_INVALID
 */
export function runCreateInstructions(
  run: TreasurerAccounts & {
    payer: PublicKey;
    coordinatorAccount: PublicKey;
    collateralMint: PublicKey;
    clientVersion: string;
    mainAuthority: PublicKey;
    joinAuthority: PublicKey;
    /** Rent-exempt minimum for a coordinator account, as the cluster says. */
    rentLamports: number;
  },
): TransactionInstruction[] {
  const { ids, index, address } = resolve(run);
  runIdBytes(run.runId);
  values.fixedText(run.clientVersion, CLIENT_VERSION_BYTES, "The client version");
  return [
    createCoordinatorAccount(ids, run),
    build(treasurerId(ids), "run_create", {
      index: values.u64(index, "index"),
      run_id: run.runId,
      client_version: run.clientVersion,
      main_authority: run.mainAuthority,
      join_authority: run.joinAuthority,
    }, {
      payer: run.payer,
      run: address,
      run_collateral: associatedTokenAddress(address, run.collateralMint),
      collateral_mint: run.collateralMint,
      coordinator_instance: coordinatorInstanceAddress(ids, run.runId),
      coordinator_account: run.coordinatorAccount,
      coordinator_program: ids.coordinator,
    }),
  ];
}

/**
 * 4.2: change what is given, through the coordinator: settings, then rates, then pause, then client
 * version. Resuming and a client version exclude each other: the version needs a halted run.
 * @throws PsycheError TEXT_TOO_LONG, NUMBER_OUT_OF_RANGE
 */
export function runUpdateInstruction(
  run: TreasurerAccounts & {
    authority: PublicKey;
    coordinatorAccount: PublicKey;
    metadata?: RunMetadata | null;
    config?: CoordinatorConfig | null;
    model?: Model | null;
    progress?: CoordinatorProgress | null;
    earningRateTotalShared?: bigint | null;
    slashingRatePerClient?: bigint | null;
    paused?: boolean | null;
    clientVersion?: string | null;
  },
): TransactionInstruction {
  const { ids, address } = resolve(run);
  const rate = (value: bigint | null | undefined, field: string) =>
    value === null || value === undefined ? null : values.u64(value, field);
  const clientVersion = run.clientVersion ?? null;
  if (clientVersion !== null) {
    values.fixedText(clientVersion, CLIENT_VERSION_BYTES, "The client version");
  }
  return build(treasurerId(ids), "run_update", {
    metadata: run.metadata ? values.runMetadata(run.metadata) : null,
    config: run.config ? values.coordinatorConfig(run.config) : null,
    model: run.model ? values.model(run.model) : null,
    progress: run.progress ? values.coordinatorProgress(run.progress) : null,
    epoch_earning_rate_total_shared: rate(run.earningRateTotalShared, "earning_rate_total_shared"),
    epoch_slashing_rate_per_client: rate(run.slashingRatePerClient, "slashing_rate_per_client"),
    paused: run.paused ?? null,
    client_version: clientVersion,
  }, {
    authority: run.authority,
    run: address,
    coordinator_instance: coordinatorInstanceAddress(ids, run.runId),
    coordinator_account: run.coordinatorAccount,
    coordinator_program: ids.coordinator,
  });
}

/** 4.3: make the account that counts what `user` has claimed; needed once before the first claim. */
export function participantCreateInstruction(
  run: TreasurerAccounts & { payer: PublicKey; user: PublicKey },
): TransactionInstruction {
  const { ids, address } = resolve(run);
  return build(treasurerId(ids), "participant_create", {}, {
    payer: run.payer,
    user: run.user,
    run: address,
    participant: participantAddress(ids, address, run.user),
  });
}

/** 4.4: pay out points, one base unit of the collateral each. */
export function participantClaimInstruction(
  run: TreasurerAccounts & {
    user: PublicKey;
    /** As the run names it. */
    collateralMint: PublicKey;
    coordinatorAccount: PublicKey;
    claimEarnedPoints: bigint;
    /** A token account of the user; default: the associated one. */
    userCollateral?: PublicKey;
  },
): TransactionInstruction {
  const { ids, address } = resolve(run);
  const { user, collateralMint } = run;
  return build(treasurerId(ids), "participant_claim", {
    claim_earned_points: values.u64(run.claimEarnedPoints, "claim_earned_points"),
  }, {
    user,
    user_collateral: run.userCollateral ?? associatedTokenAddress(user, collateralMint),
    run: address,
    run_collateral: associatedTokenAddress(address, collateralMint),
    coordinator_account: run.coordinatorAccount,
    participant: participantAddress(ids, address, user),
  });
}

/** Points that a claim can pay out now, section 6: not claimed yet, and covered by the vault. */
export function claimablePoints(amounts: {
  /** Points in the coordinator account. */
  earned: bigint;
  /** Of the participant, 0 when there is none. */
  claimed: bigint;
  /** Base units in the run's token account. */
  vault: bigint;
}): bigint {
  const { earned, claimed, vault } = amounts;
  const unclaimed = earned > claimed ? earned - claimed : 0n;
  return unclaimed < vault ? unclaimed : vault;
}

/**
 * Decode a `Run`, section 2.1.
 * @throws PsycheError TREASURER_RUN_INVALID
 */
export function decodeTreasurerRun(address: PublicKey, data: Uint8Array): TreasurerRun {
  const read = reader(data, RUN_DISCRIMINATOR, 193, () =>
    new PsycheError(
      "TREASURER_RUN_INVALID",
      `${address.toBase58()} is not a treasurer's run of this version; check the index and the treasurer's program id.`,
    ));
  const collateralMint = read.key(145);
  return {
    address,
    bump: data[8],
    index: read.u64(9),
    mainAuthority: read.key(17),
    joinAuthority: read.key(49),
    coordinatorAccount: read.key(81),
    coordinatorInstance: read.key(113),
    collateralMint,
    collateralAccount: associatedTokenAddress(address, collateralMint),
    totalClaimedCollateralAmount: read.u64(177),
    totalClaimedEarnedPoints: read.u64(185),
  };
}

/**
 * Decode a `Participant`, section 2.2.
 * @throws PsycheError PARTICIPANT_INVALID
 */
export function decodeParticipant(address: PublicKey, data: Uint8Array): Participant {
  const read = reader(data, PARTICIPANT_DISCRIMINATOR, 25, () =>
    new PsycheError(
      "PARTICIPANT_INVALID",
      `${address.toBase58()} is not a participant of this version; check the treasurer's program id.`,
    ));
  return {
    address,
    bump: data[8],
    claimedCollateralAmount: read.u64(9),
    claimedEarnedPoints: read.u64(17),
  };
}

/**
 * The treasurer of a run; `null` when the run has none under this index.
 *
 * Lamports alone prove nothing: anybody can send some to the address of a run without treasurer, or
 * take the index that is derived from its id for a run of their own.
 * @throws PsycheError RUN_ID_INVALID, TREASURER_INDEX_INVALID; TREASURER_RUN_INVALID when the given
 *   index is that of another run
 */
export async function fetchTreasurerRun(
  connection: Connection,
  run: TreasurerAccounts,
): Promise<TreasurerRun | null> {
  const { ids, address } = resolve(run);
  const data = await fetchOwned(connection, ids, address);
  if (data === null) return null;
  const found = decodeTreasurerRun(address, data);
  const instance = coordinatorInstanceAddress(ids, run.runId);
  if (!found.coordinatorInstance.equals(instance)) {
    if (run.index === undefined) return null;
    throw new PsycheError(
      "TREASURER_RUN_INVALID",
      `The treasurer with the index ${found.index} on ${
        clusterOf(connection)
      } is that of the run at ${found.coordinatorInstance.toBase58()}, not of "${run.runId}"; give the index that this run was created with.`,
    );
  }
  return found;
}

/**
 * What a user has claimed from a run; `null` before {@linkcode participantCreateInstruction}.
 * @throws PsycheError PARTICIPANT_INVALID
 */
export async function fetchParticipant(
  connection: Connection,
  run: TreasurerAccounts & { user: PublicKey },
): Promise<Participant | null> {
  const { ids, address: runAddress } = resolve(run);
  const address = participantAddress(ids, runAddress, run.user);
  const data = await fetchOwned(connection, ids, address);
  return data === null ? null : decodeParticipant(address, data);
}

async function fetchOwned(
  connection: Connection,
  ids: ProgramIds,
  address: PublicKey,
): Promise<Uint8Array | null> {
  const account = await connection.getAccountInfo(address);
  return account?.owner.equals(treasurerId(ids)) ? account.data : null;
}

function resolve(run: TreasurerAccounts) {
  const ids = run.ids ?? defaultProgramIds();
  const index = run.index ?? treasurerIndex(run.runId);
  return { ids, index, address: treasurerRunAddress(ids, index) };
}

function reader(
  data: Uint8Array,
  discriminator: Uint8Array,
  length: number,
  invalid: () => PsycheError,
) {
  if (data.length < length || !discriminator.every((byte, i) => data[i] === byte)) throw invalid();
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return {
    u64: (at: number) => view.getBigUint64(at, true),
    key: (at: number) => new PublicKey(data.slice(at, at + 32)),
  };
}
