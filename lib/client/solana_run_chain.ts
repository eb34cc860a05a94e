import type { Connection, Keypair, PublicKey, TransactionInstruction } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import { findJoinAuthorization } from "../chain/authorizer.ts";
import type { ClusterClock } from "../chain/cluster_clock.ts";
import {
  checkpointInstruction,
  healthCheckInstruction,
  joinRunInstruction,
  tickInstruction,
  warmupWitnessInstruction,
  witnessInstruction,
} from "../chain/coordinator_instructions.ts";
import { fetchCoordinator, watchCoordinator } from "../chain/coordinator_reader.ts";
import type { ProgramIds } from "../chain/programs.ts";
import { sendInstructions } from "../chain/send.ts";
import type {
  Checkpoint,
  CommitteeProof,
  CoordinatorState,
  NodeIdentity,
} from "../protocol/coordinator_state.ts";
import type { Confirmation, RunChain, WitnessContent, WitnessFigures } from "./run_chain.ts";

/**
 * Compute units that a client's transactions may use. A fixed limit saves the simulation that would
 * find a tighter one; without a priority fee it costs nothing.
 */
const COMPUTE_UNITS = 1_000_000;

export interface SolanaRunChainOptions {
  connection: Connection;
  ids: ProgramIds;
  runId: string;
  /** Address of the big account. */
  coordinatorAccount: PublicKey;
  joinAuthority: PublicKey;
  wallet: Keypair;
  /** Grantee whose authorization is used to join; absent = whichever is valid. */
  authorizer?: PublicKey;
  clock: ClusterClock;
  priorityFeeMicroLamports?: number;
  /** Told what went wrong with the subscription; it goes on by itself. */
  onProblem?: (error: Error) => void;
}

/** {@linkcode RunChain} over a Solana connection; docs/protocol/client-lifecycle.md sections 2, 9, 10. */
export class SolanaRunChain implements RunChain {
  readonly #options: SolanaRunChainOptions;
  readonly #run: {
    ids: ProgramIds;
    runId: string;
    coordinatorAccount: PublicKey;
    user: PublicKey;
  };

  constructor(options: SolanaRunChainOptions) {
    this.#options = options;
    const { ids, runId, coordinatorAccount, wallet } = options;
    this.#run = { ids, runId, coordinatorAccount, user: wallet.publicKey };
  }

  get clockRate(): number {
    return this.#options.clock.clockRate;
  }

  now(): number {
    return this.#options.clock.now();
  }

  async watch(onState: (state: CoordinatorState) => void, signal: AbortSignal): Promise<void> {
    const { connection, coordinatorAccount, onProblem } = this.#options;
    await watchCoordinator(connection, coordinatorAccount, { signal, onState, onProblem });
  }

  async join(identity: NodeIdentity, signal: AbortSignal): Promise<Confirmation> {
    const { connection, ids, runId, joinAuthority, wallet, authorizer } = this.#options;
    const user = wallet.publicKey;
    const authorization = await findJoinAuthorization(
      connection,
      ids,
      joinAuthority,
      user,
      authorizer,
    );
    if (!authorization) {
      throw new PsycheError(
        "AUTHORIZATION_MISSING",
        `Wallet ${user.toBase58()} has no authorization to join run "${runId}"; ask ` +
          `${joinAuthority.toBase58()}, who grants them, or give --authorizer.`,
      );
    }
    const { p2pIdentity } = identity;
    const instruction = joinRunInstruction({ ...this.#run, authorization, p2pIdentity });
    return this.#send("join_run", instruction, signal);
  }

  tick(signal: AbortSignal): Promise<Confirmation> {
    return this.#send("tick", tickInstruction(this.#run), signal);
  }

  warmupWitness(content: WitnessContent, signal: AbortSignal): Promise<Confirmation> {
    return this.#send(
      "warmup_witness",
      warmupWitnessInstruction({ ...this.#run, ...content }),
      signal,
    );
  }

  witness(
    content: WitnessContent,
    figures: WitnessFigures,
    signal: AbortSignal,
  ): Promise<Confirmation> {
    const instruction = witnessInstruction({
      ...this.#run,
      ...content,
      metadata: figures,
    });
    return this.#send("witness", instruction, signal);
  }

  healthCheck(
    target: NodeIdentity,
    proof: CommitteeProof,
    signal: AbortSignal,
  ): Promise<Confirmation> {
    const instruction = healthCheckInstruction({ ...this.#run, target, ...proof });
    return this.#send("health_check", instruction, signal);
  }

  async read(): Promise<CoordinatorState> {
    const { connection, coordinatorAccount } = this.#options;
    return (await fetchCoordinator(connection, coordinatorAccount)).state;
  }

  checkpoint(checkpoint: Checkpoint): Promise<Confirmation> {
    return this.#send("checkpoint", checkpointInstruction({ ...this.#run, checkpoint }));
  }

  async #send(
    label: string,
    instruction: TransactionInstruction,
    signal?: AbortSignal,
  ): Promise<Confirmation> {
    const { connection, wallet, priorityFeeMicroLamports } = this.#options;
    const { signature, feeLamports } = await sendInstructions({
      connection,
      payer: wallet,
      instructions: [instruction],
      label,
      computeUnitLimit: COMPUTE_UNITS,
      priorityFeeMicroLamports,
      signal,
    });
    return { signature, feeLamports };
  }
}
