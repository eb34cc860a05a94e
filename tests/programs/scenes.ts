/**
 * Every instruction of the programs in a situation in which it succeeds, to be sent as it is or with
 * one thing changed.
 */
import type { Idl } from "@coral-xyz/anchor";
import { PublicKey, TransactionInstruction } from "@solana/web3.js";
import * as authorizer from "../../lib/chain/authorizer.ts";
import * as coordinator from "../../lib/chain/coordinator_instructions.ts";
import * as pda from "../../lib/chain/pda.ts";
import {
  authorizerIdl,
  coordinatorIdl,
  defaultProgramIds,
  treasurerIdl,
} from "../../lib/chain/programs.ts";
import * as treasurer from "../../lib/chain/treasurer.ts";
import { bloomAdd, createBloom } from "../../lib/protocol/bloom.ts";
import { selectRoundCommittee } from "../../lib/protocol/committee.ts";
import type { CoordinatorConfig } from "../../lib/protocol/coordinator_state.ts";
import { previousRound } from "../../lib/protocol/run_state.ts";
import { sha256 } from "../../lib/protocol/sha256.ts";
import { Chain, key, programFile, Run, TRACE_CONFIG, TRACE_MODEL } from "./harness.ts";

export type ProgramName = "authorizer" | "coordinator" | "treasurer";

export const IDLS: Record<ProgramName, Idl> = {
  authorizer: authorizerIdl,
  coordinator: coordinatorIdl,
  treasurer: treasurerIdl,
};

/** A chain and an instruction that succeeds on it. */
export interface Scene {
  chain: Chain;
  instruction: TransactionInstruction;
}

/** An account meta of a changed instruction. */
export type Meta = TransactionInstruction["keys"][number];

/** The same instruction with other accounts (by position), fewer accounts, or other data. */
export function changed(
  instruction: TransactionInstruction,
  change: { keys?: Record<number, Partial<Meta>>; data?: Uint8Array; count?: number },
): TransactionInstruction {
  return new TransactionInstruction({
    programId: instruction.programId,
    keys: instruction.keys.map((k, i) => ({ ...k, ...change.keys?.[i] })).slice(0, change.count),
    data: Buffer.from(change.data ?? instruction.data),
  });
}

/** A configured run that waits for members. */
export function waitingRun(config: Partial<CoordinatorConfig> = {}, chain = new Chain()): Run {
  const run = new Run(chain).create().configure(config);
  chain.run(run.setPaused(false));
  return run;
}

/** A run of `users` in warmup. */
export function warmupRun(config: Partial<CoordinatorConfig> = {}, users = ["A", "B", "C"]): Run {
  const run = waitingRun(config);
  for (const name of users) run.chain.run(run.join(run.chain.wallet(name)));
  wait(run, 60n);
  return run;
}

/** A run of `users` in its first RoundTrain. */
export function trainingRun(config: Partial<CoordinatorConfig> = {}, users = ["A", "B", "C"]): Run {
  const run = warmupRun(config, users);
  wait(run, 60n);
  return run;
}

/** Lets time pass, and ticks. */
export function wait(run: Run, seconds: bigint): void {
  run.chain.at(run.chain.time + seconds, run.chain.slot + 2n * seconds);
  run.chain.run(run.tick());
}

/** One whole round in which no witness sees the client at `lazy`. */
export function playRound(run: Run, lazy = -1): void {
  const state = run.state();
  const filter = createBloom([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
  state.epochState.clients.forEach((client, i) => {
    if (i !== lazy) bloomAdd(filter, sha256(client.id.signer));
  });
  for (const { user, proof } of run.elected(state)) {
    run.chain.run(run.witness(user, proof, filter));
  }
  wait(run, 20n);
}

/** A run in its third round, and the report of the client at `target` that nobody saw. */
export function healthCheckScene(target = 1): Scene & { run: Run } {
  const run = trainingRun({ witnessNodes: 0, epochTime: 10_000n });
  playRound(run, target);
  playRound(run, target);
  const state = run.state();
  const instruction = coordinator.healthCheckInstruction({
    ...run.asUser(key("A")),
    target: state.epochState.clients[target].id,
    ...selectRoundCommittee(state, previousRound(state)!).committeeProof(target),
  });
  return { chain: run.chain, run, instruction };
}

const of = (run: Run, instruction: TransactionInstruction): Scene => ({
  chain: run.chain,
  instruction,
});

function ownedRun(): Run {
  return new Run(new Chain()).create().configure();
}

/** An inactive authorization of "grantor" for "grantee" with `delegates`. */
function authorization(delegates: PublicKey[] = []) {
  const chain = new Chain();
  const [grantor, grantee, payer, spill] = ["grantor", "grantee", "payer", "spill"]
    .map((name) => chain.wallet(name));
  const address = pda.authorizationAddress(chain.ids, grantor, grantee);
  chain.run(authorizer.authorizationCreateInstruction({ payer, grantor, grantee }));
  if (delegates.length > 0) {
    chain.run(authorizer.authorizationGranteeUpdateInstruction({
      payer,
      grantee,
      authorization: address,
      delegatesClear: false,
      delegatesAdded: delegates,
    }));
  }
  return { chain, grantor, grantee, payer, spill, authorization: address };
}

/** A mint of SPL Token, and accounts of it that hold `amount`. */
function token(chain: Chain, mint: PublicKey, ...accounts: [PublicKey, bigint][]): void {
  const data = Buffer.alloc(82);
  data.writeBigUInt64LE(1_000_000n, 36);
  data[45] = 1;
  chain.put(mint, data, pda.TOKEN_PROGRAM_ID);
  for (const [owner, amount] of accounts) {
    const account = Buffer.alloc(165);
    account.set(mint.toBytes(), 0);
    account.set(owner.toBytes(), 32);
    account.writeBigUInt64LE(amount, 64);
    account[108] = 1;
    chain.put(pda.associatedTokenAddress(owner, mint), account, pda.TOKEN_PROGRAM_ID);
  }
}

function treasurerParts() {
  const chain = new Chain();
  const ids = defaultProgramIds();
  chain.svm.addProgram(ids.treasurer.toBytes(), programFile("treasurer"));
  const coordinatorAccount = key("account of test");
  const runId = "test";
  const parts = { chain, runId, coordinatorAccount, collateralMint: key("mint") };
  token(chain, parts.collateralMint);
  const owner = chain.wallet("owner");
  const create = treasurer.runCreateInstructions({
    ...parts,
    payer: owner,
    clientVersion: "test",
    mainAuthority: owner,
    joinAuthority: owner,
    rentLamports: 830_244_480,
  });
  return { ...parts, owner, create };
}

/** A run of the treasurer; "A", the last client, has earned 500 points, and the vault holds 1000. */
function treasurerRun(clients = 1) {
  const parts = treasurerParts();
  const { chain, runId, coordinatorAccount } = parts;
  chain.run(...parts.create);
  const user = chain.wallet("A");
  const run = pda.treasurerRunAddress(chain.ids, pda.treasurerIndex(runId));
  token(chain, parts.collateralMint, [run, 1000n], [user, 0n]);
  const data = chain.data(coordinatorAccount);
  const view = new DataView(data.buffer, data.byteOffset);
  const entry = 94_424 + 96 * (clients - 1);
  data.set(user.toBytes(), entry);
  view.setBigUint64(entry + 72, 500n, true);
  view.setBigUint64(119_000, BigInt(clients), true);
  chain.put(coordinatorAccount, data, chain.ids.coordinator);
  const participant = treasurer.participantCreateInstruction({
    runId,
    payer: chain.wallet("payer"),
    user,
  });
  return { ...parts, user, run, participant };
}

/** A claim of the last of `clients` clients. */
export function claimScene(clients = 1): Scene {
  const { chain, participant, ...run } = treasurerRun(clients);
  chain.run(participant);
  const claim = { ...run, claimEarnedPoints: 300n };
  return { chain, instruction: treasurer.participantClaimInstruction(claim) };
}

/** One scene an instruction, by the IDL's names; every call makes a chain of its own. */
export const SCENES: Record<ProgramName, Record<string, () => Scene>> = {
  authorizer: {
    authorization_create() {
      const chain = new Chain();
      const [grantor, payer] = ["grantor", "payer"].map((name) => chain.wallet(name));
      const grantee = key("grantee");
      return {
        chain,
        instruction: authorizer.authorizationCreateInstruction({ payer, grantor, grantee }),
      };
    },
    authorization_grantor_update() {
      const { chain, ...accounts } = authorization();
      return {
        chain,
        instruction: authorizer.authorizationGrantorUpdateInstruction({
          ...accounts,
          active: true,
        }),
      };
    },
    authorization_grantee_update() {
      // As many as before: no lamports move, so that flags are checked by the program itself.
      const { chain, ...accounts } = authorization([key("old")]);
      return {
        chain,
        instruction: authorizer.authorizationGranteeUpdateInstruction({
          ...accounts,
          delegatesClear: true,
          delegatesAdded: [key("new")],
        }),
      };
    },
    authorization_close() {
      const { chain, ...accounts } = authorization();
      return { chain, instruction: authorizer.authorizationCloseInstruction(accounts) };
    },
  },
  coordinator: {
    init_coordinator() {
      const chain = new Chain();
      const run = new Run(chain);
      chain.put(run.account, new Uint8Array(119_160), chain.ids.coordinator);
      const [, init] = coordinator.initCoordinatorInstructions({
        payer: run.owner,
        coordinatorAccount: run.account,
        runId: run.runId,
        clientVersion: "test",
        mainAuthority: run.owner,
        joinAuthority: run.owner,
        rentLamports: 0,
      });
      return of(run, init);
    },
    free_coordinator() {
      const run = new Run(new Chain()).create();
      const spill = run.chain.wallet("spill");
      return of(run, coordinator.freeCoordinatorInstruction({ ...run.asOwner(), spill }));
    },
    update() {
      const run = ownedRun();
      const update = { config: TRACE_CONFIG, model: TRACE_MODEL };
      return of(run, coordinator.updateInstruction({ ...run.asOwner(), ...update }));
    },
    update_client_version() {
      const run = ownedRun();
      const version = { ...run.asOwner(), clientVersion: "v2" };
      return of(run, coordinator.updateClientVersionInstruction(version));
    },
    set_future_epoch_rates() {
      const run = ownedRun();
      const rates = { earningRateTotalShared: 7n, slashingRatePerClient: 8n };
      return of(run, coordinator.setFutureEpochRatesInstruction({ ...run.asOwner(), ...rates }));
    },
    join_run() {
      const run = waitingRun();
      return of(run, run.join(run.chain.wallet("A")));
    },
    set_paused() {
      const run = ownedRun();
      return of(run, run.setPaused(false));
    },
    tick() {
      const run = waitingRun();
      return of(run, run.tick());
    },
    witness() {
      const run = trainingRun();
      const [{ user, proof }] = run.elected();
      return of(run, run.witness(user, proof));
    },
    warmup_witness() {
      const run = warmupRun({ witnessNodes: 0 });
      return of(run, run.warmupWitness(key("A"), 0n));
    },
    health_check: () => healthCheckScene(),
    checkpoint() {
      const run = trainingRun();
      const checkpoint = { kind: "Hub", repo: { repoId: "n/r", revision: null } } as const;
      const user = key("A");
      return of(run, coordinator.checkpointInstruction({ ...run.asUser(user), checkpoint }));
    },
  },
  treasurer: {
    run_create() {
      const { chain, create, coordinatorAccount } = treasurerParts();
      chain.put(coordinatorAccount, new Uint8Array(119_160), chain.ids.coordinator);
      return { chain, instruction: create[1] };
    },
    run_update() {
      const { chain, owner, ...run } = treasurerRun();
      const update = { ...run, authority: owner, config: TRACE_CONFIG, model: TRACE_MODEL };
      return { chain, instruction: treasurer.runUpdateInstruction(update) };
    },
    participant_create() {
      const { chain, participant } = treasurerRun();
      return { chain, instruction: participant };
    },
    participant_claim: () => claimScene(),
  },
};

/** All instructions as `[program, instruction]`. */
export const INSTRUCTIONS = Object.entries(SCENES).flatMap(([program, scenes]) =>
  Object.keys(scenes).map((name) => [program as ProgramName, name] as const)
);
