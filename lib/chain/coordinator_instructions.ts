/** The twelve instructions of the coordinator program, docs/protocol/onchain-coordinator.md section 4. */
import { type PublicKey, SystemProgram, type TransactionInstruction } from "@solana/web3.js";
import type {
  Bloom,
  Checkpoint,
  Committee,
  CoordinatorConfig,
  CoordinatorProgress,
  Model,
  NodeIdentity,
  RunMetadata,
  WitnessProof,
} from "../protocol/coordinator_state.ts";
import * as values from "./borsh_values.ts";
import { instructionBuilder } from "./idl_instruction.ts";
import { coordinatorInstanceAddress, runIdBytes } from "./pda.ts";
import { coordinatorIdl, defaultProgramIds, type ProgramIds } from "./programs.ts";

export type { WitnessMetadata } from "./borsh_values.ts";

/** Exact size of a CoordinatorAccount, section 1.2. */
export const COORDINATOR_ACCOUNT_BYTES = 119_160;

const CLIENT_VERSION_BYTES = 96;
const COMMITTEE_NAMES = ["TieBreaker", "Verifier", "Trainer"] as const;

const build = instructionBuilder(coordinatorIdl);

/** The run that an instruction is about. */
export interface RunAccounts {
  ids?: ProgramIds;
  runId: string;
  /** Address of the big account, as the instance names it. */
  coordinatorAccount: PublicKey;
}

/** For instructions of the run's main authority. */
export interface OwnerAccounts extends RunAccounts {
  authority: PublicKey;
}

/** For instructions anybody, or any client, may send. */
export interface UserAccounts extends RunAccounts {
  user: PublicKey;
}

export interface WitnessArguments {
  proof: WitnessProof;
  participantBloom: Bloom;
  broadcastBloom: Bloom;
  /** 32 bytes. */
  broadcastMerkle: Uint8Array;
}

/**
 * Create a run: system `create_account` of the big account and `init_coordinator` (4.1), to go into
 * one transaction that `payer` and the new account's key sign.
 * @throws PsycheError RUN_ID_INVALID, TEXT_TOO_LONG
 */
export function initCoordinatorInstructions(options: {
  ids?: ProgramIds;
  payer: PublicKey;
  coordinatorAccount: PublicKey;
  runId: string;
  clientVersion: string;
  mainAuthority: PublicKey;
  joinAuthority: PublicKey;
  /** Rent-exempt minimum for {@linkcode COORDINATOR_ACCOUNT_BYTES}, as the cluster says. */
  rentLamports: number;
}): TransactionInstruction[] {
  const ids = options.ids ?? defaultProgramIds();
  runIdBytes(options.runId);
  values.fixedText(options.clientVersion, CLIENT_VERSION_BYTES, "The client version");
  return [
    createCoordinatorAccount(ids, options),
    build(ids.coordinator, "init_coordinator", {
      main_authority: options.mainAuthority,
      join_authority: options.joinAuthority,
      run_id: options.runId,
      client_version: options.clientVersion,
    }, {
      payer: options.payer,
      coordinator_instance: coordinatorInstanceAddress(ids, options.runId),
      coordinator_account: options.coordinatorAccount,
    }),
  ];
}

/** The system program makes the account: it is too large for a program to make. */
export function createCoordinatorAccount(
  ids: ProgramIds,
  { payer, coordinatorAccount, rentLamports }: {
    payer: PublicKey;
    coordinatorAccount: PublicKey;
    rentLamports: number;
  },
): TransactionInstruction {
  return SystemProgram.createAccount({
    fromPubkey: payer,
    newAccountPubkey: coordinatorAccount,
    lamports: rentLamports,
    space: COORDINATOR_ACCOUNT_BYTES,
    programId: ids.coordinator,
  });
}

/** 4.2: close both accounts of a halted run into `spill` (default: the authority). */
export function freeCoordinatorInstruction(
  run: OwnerAccounts & { spill?: PublicKey },
): TransactionInstruction {
  const { programId, accounts } = ownerGroup(run);
  return build(programId, "free_coordinator", {}, {
    ...accounts,
    spill: run.spill ?? run.authority,
  });
}

/** 4.3: replace the parts that are given. Needs a halted run, except for metadata alone. */
export function updateInstruction(
  run: OwnerAccounts & {
    metadata?: RunMetadata | null;
    config?: CoordinatorConfig | null;
    model?: Model | null;
    progress?: CoordinatorProgress | null;
  },
): TransactionInstruction {
  const { programId, accounts } = ownerGroup(run);
  return build(programId, "update", {
    metadata: run.metadata ? values.runMetadata(run.metadata) : null,
    config: run.config ? values.coordinatorConfig(run.config) : null,
    model: run.model ? values.model(run.model) : null,
    progress: run.progress ? values.coordinatorProgress(run.progress) : null,
  }, accounts);
}

/** 4.4. @throws PsycheError TEXT_TOO_LONG above 96 bytes (the program would panic). */
export function updateClientVersionInstruction(
  run: OwnerAccounts & { clientVersion: string },
): TransactionInstruction {
  const { programId, accounts } = ownerGroup(run);
  values.fixedText(run.clientVersion, CLIENT_VERSION_BYTES, "The client version");
  return build(programId, "update_client_version", { new_version: run.clientVersion }, accounts);
}

/** 4.5: rates of the epochs that start later; `null` or absent leaves a rate as it is. */
export function setFutureEpochRatesInstruction(
  run: OwnerAccounts & {
    earningRateTotalShared?: bigint | null;
    slashingRatePerClient?: bigint | null;
  },
): TransactionInstruction {
  const { programId, accounts } = ownerGroup(run);
  const rate = (value: bigint | null | undefined, field: string) =>
    value === null || value === undefined ? null : values.u64(value, field);
  return build(programId, "set_future_epoch_rates", {
    epoch_earning_rate_total_shared: rate(run.earningRateTotalShared, "earning_rate_total_shared"),
    epoch_slashing_rate_per_client: rate(run.slashingRatePerClient, "slashing_rate_per_client"),
  }, accounts);
}

/** 4.7: pause (takes effect at the next round's end, or at once when waiting) or resume. */
export function setPausedInstruction(
  run: OwnerAccounts & { paused: boolean },
): TransactionInstruction {
  const { programId, accounts } = ownerGroup(run);
  return build(programId, "set_paused", { paused: run.paused }, accounts);
}

/** 4.6: join or re-join. `authorization` is any valid authorization account of the join authority. */
export function joinRunInstruction(
  run: UserAccounts & { authorization: PublicKey; p2pIdentity: Uint8Array },
): TransactionInstruction {
  const { programId, accounts } = userGroup(run);
  const id: NodeIdentity = { signer: run.user.toBytes(), p2pIdentity: run.p2pIdentity };
  return build(programId, "join_run", { client_id: values.nodeIdentity(id) }, {
    ...accounts,
    authorization: run.authorization,
  });
}

/** 4.8. */
export function tickInstruction(run: UserAccounts): TransactionInstruction {
  const { programId, accounts } = userGroup(run);
  return build(programId, "tick", {}, accounts);
}

/** 4.9. */
export function witnessInstruction(
  run: UserAccounts & WitnessArguments & { metadata: values.WitnessMetadata },
): TransactionInstruction {
  const { programId, accounts } = userGroup(run);
  return build(programId, "witness", {
    ...witnessValues(run),
    metadata: values.witnessMetadata(run.metadata),
  }, accounts);
}

/** 4.10. */
export function warmupWitnessInstruction(
  run: UserAccounts & WitnessArguments,
): TransactionInstruction {
  const { programId, accounts } = userGroup(run);
  return build(programId, "warmup_witness", witnessValues(run), accounts);
}

/** 4.11: report `target` as not taking part. */
export function healthCheckInstruction(
  run: UserAccounts & {
    target: NodeIdentity;
    committee: Committee;
    position: bigint;
    index: bigint;
  },
): TransactionInstruction {
  const { programId, accounts } = userGroup(run);
  return build(programId, "health_check", {
    id: values.nodeIdentity(run.target),
    committee: { [COMMITTEE_NAMES[run.committee]]: {} },
    position: values.u64(run.position, "position"),
    index: values.u64(run.index, "index"),
  }, accounts);
}

/** 4.12: record where this epoch's weights are. */
export function checkpointInstruction(
  run: UserAccounts & { checkpoint: Checkpoint },
): TransactionInstruction {
  const { programId, accounts } = userGroup(run);
  return build(
    programId,
    "checkpoint",
    { repo: values.checkpoint(run.checkpoint) },
    accounts,
  );
}

function witnessValues(args: WitnessArguments): Record<string, unknown> {
  return {
    proof: values.witnessProof(args.proof),
    participant_bloom: values.bloom(args.participantBloom, "participant_bloom"),
    broadcast_bloom: values.bloom(args.broadcastBloom, "broadcast_bloom"),
    broadcast_merkle: values.bytes(args.broadcastMerkle, 32, "broadcast_merkle"),
  };
}

function runGroup(run: RunAccounts) {
  const ids = run.ids ?? defaultProgramIds();
  return {
    programId: ids.coordinator,
    accounts: {
      coordinator_instance: coordinatorInstanceAddress(ids, run.runId),
      coordinator_account: run.coordinatorAccount,
    },
  };
}

function ownerGroup(run: OwnerAccounts) {
  const { programId, accounts } = runGroup(run);
  return { programId, accounts: { ...accounts, authority: run.authority } };
}

function userGroup(run: UserAccounts) {
  const { programId, accounts } = runGroup(run);
  return { programId, accounts: { ...accounts, user: run.user } };
}
