/**
 * The on-chain programs in a bare LiteSVM, for tests: clock by hand, no signatures checked (the
 * signer flags of a message still are), coordinator accounts decoded on demand.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { PublicKey, Transaction, type TransactionInstruction } from "@solana/web3.js";
import { Account, Clock, FailedTransactionMetadata, LiteSvm } from "litesvm";
import {
  authorizationCreateInstruction,
  authorizationGrantorUpdateInstruction,
  EVERYBODY,
} from "../../lib/chain/authorizer.ts";
import * as instructions from "../../lib/chain/coordinator_instructions.ts";
import { authorizationAddress, coordinatorInstanceAddress } from "../../lib/chain/pda.ts";
import { defaultProgramIds, type ProgramIds } from "../../lib/chain/programs.ts";
import { emptyBloom } from "../../lib/protocol/bloom.ts";
import { selectRoundCommittee } from "../../lib/protocol/committee.ts";
import { decodeCoordinatorAccount } from "../../lib/protocol/coordinator_account.ts";
import type {
  CoordinatorConfig,
  CoordinatorState,
  Model,
  WitnessProof,
} from "../../lib/protocol/coordinator_state.ts";
import { currentRound } from "../../lib/protocol/run_state.ts";

/** What a transaction gave. `error` is the number of a custom error, its debug text, or null. */
export interface Result {
  error: number | string | null;
  logs: string[];
  units: number;
}

// Another folder when a build is tested that is not the committed one (build-programs --check).
const PROGRAMS = Deno.env.get("PSYCHE_PROGRAMS_FOLDER") ??
  fileURLToPath(new URL("../../programs", import.meta.url));

/** The bytes of a built program. */
export function programFile(
  name: "authorizer" | "coordinator" | "treasurer" | "placeholder",
): Uint8Array {
  return Deno.readFileSync(`${PROGRAMS}/${name}.so`);
}

/** A key without a secret, different for every name. */
export function key(name: string): PublicKey {
  return new PublicKey(createHash("sha256").update(name).digest());
}

// Account copies live outside of the heap, where the collector does not count them.
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

export class Chain {
  readonly svm = new LiteSvm();
  readonly ids: ProgramIds = defaultProgramIds();
  time = 1_000n;
  slot = 50n;
  #reads = 0;

  constructor() {
    this.svm.setSigverify(false);
    this.svm.setBlockhashCheck(false);
    this.svm.setTransactionHistory(0n);
    this.svm.addProgram(this.ids.authorizer.toBytes(), programFile("authorizer"));
    this.svm.addProgram(this.ids.coordinator.toBytes(), programFile("coordinator"));
    this.at(this.time, this.slot);
  }

  /** Sets the Clock sysvar. */
  at(time: bigint, slot: bigint): void {
    this.time = time;
    this.slot = slot;
    this.svm.setClock(new Clock(slot, 0n, 0n, 1n, time));
  }

  /** Gives `name` a wallet with lamports. */
  wallet(name: string, lamports = 100_000_000_000n): PublicKey {
    const wallet = key(name);
    this.put(wallet, new Uint8Array(0), PublicKey.default, lamports);
    return wallet;
  }

  put(address: PublicKey, data: Uint8Array, owner: PublicKey, lamports?: bigint): void {
    const amount = lamports ?? this.svm.minimumBalanceForRentExemption(BigInt(data.length));
    this.svm.setAccount(address.toBytes(), new Account(amount, data, owner.toBytes(), false, 0n));
  }

  /** Account data; empty when there is no such account. */
  data(address: PublicKey): Uint8Array {
    if (++this.#reads % 200 === 0) collect();
    return this.svm.getAccount(address.toBytes())?.data() ?? new Uint8Array(0);
  }

  balance(address: PublicKey): bigint {
    return this.svm.getBalance(address.toBytes()) ?? 0n;
  }

  /** Runs one transaction; the first signer of the first instruction pays. */
  send(...list: TransactionInstruction[]): Result {
    const transaction = new Transaction().add(...list);
    transaction.feePayer = this.wallet("fee payer");
    transaction.recentBlockhash = this.svm.latestBlockhash();
    const bytes = transaction.serialize({ verifySignatures: false, requireAllSignatures: false });
    const result = this.svm.sendLegacyTransaction(bytes);
    const failed = result instanceof FailedTransactionMetadata;
    const meta = failed ? result.meta() : result;
    return {
      error: failed ? errorOf(result) : null,
      logs: meta.logs().filter((line) => line.startsWith("Program log: "))
        .map((line) => line.slice("Program log: ".length)),
      units: Number(meta.computeUnitsConsumed()),
    };
  }

  /** As {@linkcode send}, and the transaction must succeed. */
  run(...list: TransactionInstruction[]): Result {
    const result = this.send(...list);
    assert.equal(result.error, null, result.logs.join("\n"));
    return result;
  }
}

function errorOf(failed: FailedTransactionMetadata): number | string {
  const error = failed.err();
  const inner = error !== null && typeof error === "object" && "err" in error ? error.err() : null;
  if (inner !== null && typeof inner === "object" && "code" in inner) return inner.code;
  return failed.toString().match(/InstructionError\(\d+, (\w+)/)?.[1] ?? failed.toString();
}

/** Expects a numbered error and its log line. */
export function assertError(result: Result, number: number, name: string, account?: string): void {
  assert.equal(result.error, number, result.logs.join("\n"));
  const line = result.logs.find((log) =>
    log.includes(`Error Code: ${name}. Error Number: ${number}.`)
  );
  assert.ok(line, `no line names ${name}:\n${result.logs.join("\n")}`);
  if (account) assert.ok(line.startsWith(`AnchorError caused by account: ${account}. `), line);
}

/** The config of coordinator-state-machine.md section 15. */
export const TRACE_CONFIG: CoordinatorConfig = {
  warmupTime: 10n,
  cooldownTime: 5n,
  maxRoundTrainTime: 15n,
  roundWitnessTime: 4n,
  globalBatchSizeWarmupTokens: 2048n,
  epochTime: 30n,
  totalSteps: 100,
  initMinClients: 2,
  minClients: 2,
  witnessNodes: 1,
  globalBatchSizeStart: 4,
  globalBatchSizeEnd: 8,
  verificationPercent: 0,
  waitingForMembersExtraTime: 3,
};

export const TRACE_MODEL: Model = {
  maxSeqLen: 64,
  coldStartWarmupSteps: 0,
  architecture: "HfLlama",
  checkpoint: { kind: "Hub", repo: { repoId: "owner/model", revision: "main" } },
  dataType: "Pretraining",
  dataLocation: { kind: "Dummy" },
  lrSchedule: { kind: "Constant", baseLr: 0.5, warmupInitLr: 0, warmupSteps: 0 },
  optimizer: {
    kind: "Distro",
    clipGradNorm: 1,
    weightDecay: null,
    compressionDecay: 0.75,
    compressionTopk: 8,
    compressionChunk: 64,
    quantize1bit: true,
  },
};

/** One run: its accounts, its owner and everything that is sent to it. */
export class Run {
  readonly owner: PublicKey;
  readonly account: PublicKey;
  readonly instance: PublicKey;
  readonly authorization: PublicKey;

  constructor(readonly chain: Chain, readonly runId = "test", readonly ids = chain.ids) {
    this.owner = chain.wallet(`owner of ${runId}`);
    this.account = key(`account of ${runId}`);
    this.instance = coordinatorInstanceAddress(ids, runId);
    this.authorization = authorizationAddress(ids, this.owner, EVERYBODY);
  }

  /** Creates the run, and an authorization that lets everybody join. */
  create(clientVersion = "test"): this {
    const { ids, owner } = this;
    this.chain.run(...instructions.initCoordinatorInstructions({
      ids,
      payer: owner,
      coordinatorAccount: this.account,
      runId: this.runId,
      clientVersion,
      mainAuthority: owner,
      joinAuthority: owner,
      rentLamports: 830_244_480,
    }));
    this.chain.run(
      authorizationCreateInstruction({ ids, payer: owner, grantor: owner, grantee: EVERYBODY }),
      authorizationGrantorUpdateInstruction({
        ids,
        grantor: owner,
        authorization: this.authorization,
        active: true,
      }),
    );
    return this;
  }

  /** Sets config and model. */
  configure(config: Partial<CoordinatorConfig> = {}, model: Partial<Model> = {}): this {
    this.chain.run(instructions.updateInstruction({
      ...this.asOwner(),
      config: { ...TRACE_CONFIG, ...config },
      model: { ...TRACE_MODEL, ...model },
    }));
    return this;
  }

  asOwner() {
    const { ids, runId, owner, account } = this;
    return { ids, runId, authority: owner, coordinatorAccount: account };
  }

  asUser(user: PublicKey) {
    const { ids, runId, account } = this;
    return { ids, runId, user, coordinatorAccount: account };
  }

  setPaused(paused: boolean): TransactionInstruction {
    return instructions.setPausedInstruction({ ...this.asOwner(), paused });
  }

  join(user: PublicKey, p2pIdentity = user.toBytes()): TransactionInstruction {
    return instructions.joinRunInstruction({
      ...this.asUser(user),
      authorization: this.authorization,
      p2pIdentity,
    });
  }

  tick(user = this.owner): TransactionInstruction {
    return instructions.tickInstruction(this.asUser(user));
  }

  witness(user: PublicKey, proof: WitnessProof, participantBloom = emptyBloom()) {
    return instructions.witnessInstruction({
      ...this.asUser(user),
      proof,
      participantBloom,
      broadcastBloom: emptyBloom(),
      broadcastMerkle: new Uint8Array(32).fill(9),
      metadata: {
        step: 1,
        tokensPerSecond: 1,
        bandwidthPerSecond: 2,
        loss: NaN,
        evals: [{ name: "one", value: 0.5 }],
        promptResults: [1, 2],
        promptIndex: 0,
        efficiency: 0,
      },
    });
  }

  warmupWitness(user: PublicKey, index: bigint): TransactionInstruction {
    return instructions.warmupWitnessInstruction({
      ...this.asUser(user),
      proof: { position: index, index, witness: 0 },
      participantBloom: emptyBloom(),
      broadcastBloom: emptyBloom(),
      broadcastMerkle: new Uint8Array(32),
    });
  }

  state(): CoordinatorState {
    return decodeCoordinatorAccount(this.chain.data(this.account));
  }

  /** The elected witnesses of the current round, with their proofs. */
  elected(state = this.state()): { user: PublicKey; proof: WitnessProof }[] {
    const selection = selectRoundCommittee(state, currentRound(state));
    return state.epochState.clients.map((client, i) => ({
      user: new PublicKey(client.id.signer),
      proof: selection.witnessProof(i),
    })).filter(({ proof }) => proof.witness === 1);
  }
}
