/**
 * The program and the TypeScript model of the state machine, driven by the same random instructions:
 * after each one the decoded account must be the model's state, field by field, and a refusal must be
 * the same refusal.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { TransactionInstruction } from "@solana/web3.js";
import * as instructions from "../../lib/chain/coordinator_instructions.ts";
import { PsycheError } from "../../lib/error.ts";
import { bloomAdd, createBloom } from "../../lib/protocol/bloom.ts";
import { equalBytes } from "../../lib/protocol/bytes.ts";
import { selectRoundCommittee } from "../../lib/protocol/committee.ts";
import {
  Committee,
  type CoordinatorConfig,
  type CoordinatorState,
  RunState,
  type Witness,
} from "../../lib/protocol/coordinator_state.ts";
import { seed } from "../../lib/protocol/property_seed.ts";
import { roundSeed } from "../../lib/protocol/round_seed.ts";
import { currentRound, isHalted, previousRound } from "../../lib/protocol/run_state.ts";
import { sha256 } from "../../lib/protocol/sha256.ts";
import { cloneState, nextTimeout, type TickClock } from "../../lib/protocol/tick.ts";
import * as model from "../../lib/protocol/transitions.ts";
import { Chain, Run, TRACE_MODEL } from "./harness.ts";

const USERS = 5;

/** One thing that happens; `pick` and `twist` choose among users, proofs and contents. */
type Step =
  | { do: "advance"; seconds: number }
  | { do: "next timeout"; before: number }
  | { do: "tick" | "pause" | "resume" }
  | { do: "join" | "witness" | "warmup" | "health" | "checkpoint"; pick: number; twist: number }
  | { do: "all witnesses" | "round" }
  | { do: "rates"; earning: bigint | undefined; slashing: bigint | undefined }
  | { do: "update"; totalSteps: number; step: number };

const choice = fc.nat(1000);
const someone = (what: "join" | "witness" | "warmup" | "health" | "checkpoint") =>
  fc.record({ do: fc.constant(what), pick: choice, twist: choice });
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant("advance" as const), seconds: fc.nat(12) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("next timeout" as const), before: fc.nat(1) }),
  },
  { weight: 6, arbitrary: fc.constant<Step>({ do: "tick" }) },
  { weight: 3, arbitrary: fc.constant<Step>({ do: "all witnesses" }) },
  { weight: 9, arbitrary: fc.constant<Step>({ do: "round" }) },
  { weight: 4, arbitrary: someone("join") },
  { weight: 3, arbitrary: someone("witness") },
  { weight: 2, arbitrary: someone("warmup") },
  { weight: 6, arbitrary: someone("health") },
  { weight: 1, arbitrary: someone("checkpoint") },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "pause" }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: "resume" }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("rates" as const),
      earning: fc.option(fc.bigInt(0n, 1n << 40n), { nil: undefined }),
      slashing: fc.option(fc.bigInt(0n, 1n << 40n), { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("update" as const),
      totalSteps: fc.integer({ min: 1, max: 40 }),
      step: fc.nat(12),
    }),
  },
);

const configs: fc.Arbitrary<CoordinatorConfig> = fc.record({
  warmupTime: fc.bigInt(0n, 9n),
  cooldownTime: fc.bigInt(1n, 9n),
  maxRoundTrainTime: fc.bigInt(1n, 9n),
  roundWitnessTime: fc.bigInt(1n, 9n),
  globalBatchSizeWarmupTokens: fc.oneof(fc.bigInt(0n, 5000n), fc.bigInt(0n, (1n << 64n) - 1n)),
  epochTime: fc.bigInt(10n, 60n),
  totalSteps: fc.integer({ min: 3, max: 40 }),
  initMinClients: fc.integer({ min: 1, max: 3 }),
  minClients: fc.constant(1),
  witnessNodes: fc.integer({ min: 0, max: 1 }),
  globalBatchSizeStart: fc.integer({ min: 1, max: 40 }),
  globalBatchSizeEnd: fc.integer({ min: 4, max: 0xffff }),
  verificationPercent: fc.constantFrom(0, 0, 0, 0, 0, 0, 10, 50, 101),
  waitingForMembersExtraTime: fc.integer({ min: 1, max: 5 }),
}).chain((config) => {
  const { initMinClients, globalBatchSizeEnd } = config;
  return fc.record({
    min: fc.integer({ min: 1, max: initMinClients }),
    start: fc.integer({ min: 1, max: globalBatchSizeEnd }),
  }).map(({ min, start }) => ({ ...config, minClients: min, globalBatchSizeStart: start }));
});

const checkpoints: fc.Arbitrary<typeof TRACE_MODEL.checkpoint> = fc.constantFrom(
  TRACE_MODEL.checkpoint,
  { kind: "Dummy", repo: { repoId: "", revision: null } },
  { kind: "P2P", repo: { repoId: "p/p", revision: null } },
  { kind: "Gcs", repo: { bucket: "bucket", prefix: "prefix" } },
  { kind: "P2PGcs", repo: { bucket: "bucket", prefix: null } },
);

/** Runs each instruction on the chain and on a copy of the state, and compares. */
class Pair {
  readonly chain = new Chain();
  readonly run: Run;
  readonly users = Array.from({ length: USERS }, (_, i) => this.chain.wallet(`user ${i}`));
  state: CoordinatorState;

  /** `neglected` are the members (bits by index) that witnesses usually do not see. */
  constructor(
    config: CoordinatorConfig,
    parts: Partial<typeof TRACE_MODEL>,
    readonly neglected: number,
    readonly seen: Map<string, number>,
  ) {
    this.run = new Run(this.chain).create().configure(config, parts);
    this.state = this.run.state();
  }

  get clock(): TickClock {
    const { time, slot } = this.chain;
    return { unixTimestamp: time, randomSeed: roundSeed(time, slot) };
  }

  both(
    what: string,
    instruction: TransactionInstruction,
    apply: (state: CoordinatorState) => void,
  ) {
    const next = cloneState(this.state);
    let refusal: string | null = null;
    try {
      apply(next);
      this.state = next;
    } catch (error) {
      if (!(error instanceof PsycheError)) throw error;
      refusal = error.code;
    }
    const result = this.chain.send(instruction);
    const line = result.logs.find((log) => log.startsWith("AnchorError"));
    const name = line?.match(/Error Code: (\w+)\./)?.[1] ??
      (result.error === "ProgramFailedToComplete" ? "PROGRAM_PANIC" : null);
    assert.equal(name, refusal, `${what}: ${JSON.stringify(result)}`);
    assert.equal(result.error === null, refusal === null, what);
    assert.deepEqual(this.run.state(), this.state, what);
    const outcome = `${what}: ${refusal ?? "done"}`;
    this.seen.set(outcome, (this.seen.get(outcome) ?? 0) + 1);
  }
}

function step(pair: Pair, action: Step): void {
  const { chain, run, state, clock } = pair;
  const advance = (seconds: bigint) =>
    chain.at(chain.time + seconds, chain.slot + 2n * seconds + 1n);
  switch (action.do) {
    case "advance":
      return advance(BigInt(action.seconds));
    case "next timeout": {
      const due = nextTimeout(state);
      if (due !== null && due - BigInt(action.before) > chain.time) {
        advance(due - BigInt(action.before) - chain.time);
      }
      return;
    }
    case "tick":
      return pair.both("tick", run.tick(), (s) => void model.tick(s, clock));
    case "pause":
    case "resume": {
      const paused = action.do === "pause";
      return pair.both(action.do, run.setPaused(paused), (s) => model.setPaused(s, paused, clock));
    }
    case "rates": {
      const rates = {
        earningRateTotalShared: action.earning,
        slashingRatePerClient: action.slashing,
      };
      const set = instructions.setFutureEpochRatesInstruction({ ...run.asOwner(), ...rates });
      return pair.both("rates", set, (s) => model.setFutureEpochRates(s, rates));
    }
    case "update": {
      const config = { ...state.config, totalSteps: action.totalSteps };
      const progress = { epoch: 1, step: action.step, epochStartDataIndex: 12n };
      const update = { config, progress, model: TRACE_MODEL };
      const change = instructions.updateInstruction({ ...run.asOwner(), ...update });
      return pair.both("update", change, (s) => model.updateRun(s, update));
    }
    case "round":
      if (isHalted(state.runState)) step(pair, { do: "resume" });
      if (pair.state.runState === RunState.WaitingForMembers) {
        for (let pick = 0; pick < 4; pick++) step(pair, { do: "join", pick, twist: pick });
      }
      for (
        const part of ["next timeout", "tick", "all witnesses", "next timeout", "tick"] as const
      ) {
        step(pair, part === "next timeout" ? { do: part, before: 0 } : { do: part });
      }
      return;
    case "all witnesses": {
      if (state.runState !== RunState.RoundTrain && state.runState !== RunState.RoundWitness) {
        return;
      }
      const round = currentRound(state);
      if (state.config.verificationPercent > 100 || round.clientsLen === 0) return;
      if (round.clientsLen < state.config.witnessNodes) return;
      for (const { user, proof } of run.elected(state)) {
        sendWitness(pair, pair.users.findIndex((u) => u.equals(user)), proof, 0);
      }
      return;
    }
    default:
      return bySomeone(pair, action);
  }
}

function bySomeone(pair: Pair, action: Step & { pick: number; twist: number }): void {
  const { run, state, clock } = pair;
  const { pick, twist } = action;
  const user = pair.users[pick % USERS];
  const signer = user.toBytes();
  const members = state.epochState.clients;
  const own = members.findIndex((client) => equalBytes(client.id.signer, signer));
  const index = BigInt(twist % 4 === 0 ? twist % 7 : Math.max(0, own));
  switch (action.do) {
    case "join": {
      const p2pIdentity = new Uint8Array(32).fill(twist);
      return pair.both(
        "join",
        run.join(user, p2pIdentity),
        (s) => model.joinRun(s, { signer, p2pIdentity }, clock),
      );
    }
    case "witness":
      return sendWitness(pair, pick % USERS, {
        index,
        position: BigInt(twist % 3),
        witness: twist % 5 === 0 ? 2 : 1,
      }, twist);
    case "warmup": {
      const message = witnessMessage(pair, { index, position: index, witness: 0 }, 3);
      const send = instructions.warmupWitnessInstruction({ ...run.asUser(user), ...message });
      return pair.both("warmup", send, (s) => model.warmupWitness(s, signer, message, clock));
    }
    case "checkpoint": {
      const checkpoint = [
        { kind: "Hub", repo: { repoId: "h/h", revision: "r" } },
        { kind: "Gcs", repo: { bucket: "g", prefix: null } },
        { kind: "Dummy", repo: { repoId: "", revision: null } },
        { kind: "Ephemeral" },
        { kind: "P2P", repo: { repoId: "x/y", revision: null } },
      ][twist % 5] as typeof TRACE_MODEL.checkpoint;
      const send = instructions.checkpointInstruction({ ...run.asUser(user), checkpoint });
      return pair.both("checkpoint", send, (s) => model.checkpoint(s, signer, checkpoint, clock));
    }
    case "health": {
      if (members.length === 0) return;
      const target = members[twist % members.length];
      const round = previousRound(state);
      const place = twist % members.length;
      let proof = { committee: Committee.Trainer as Committee, position: 0n, index: BigInt(place) };
      const drawable = round !== null && round.clientsLen >= state.config.witnessNodes &&
        state.config.verificationPercent <= 100 && place < round.clientsLen;
      if (drawable) proof = selectRoundCommittee(state, round).committeeProof(place);
      if (twist % 6 === 0) proof = { ...proof, position: proof.position + 1n };
      if (twist % 11 === 0) proof = { ...proof, index: proof.index + 1n };
      if (twist % 13 === 0) proof = { ...proof, committee: Committee.Verifier };
      const send = instructions.healthCheckInstruction({
        ...run.asUser(user),
        target: target.id,
        ...proof,
      });
      return pair.both(
        "health",
        send,
        (s) => model.healthCheck(s, signer, target.id, proof, clock),
      );
    }
  }
}

/** `missing` leaves that many members out of the participant filter. */
function witnessMessage(pair: Pair, proof: Witness["proof"], missing: number): Witness {
  const participantBloom = createBloom(
    Array.from({ length: 8 }, (_, i) => BigInt(i + 1) * 0x9e3779b97f4a7c15n & (1n << 64n) - 1n),
  );
  pair.state.epochState.clients.forEach((client, i) => {
    if ((missing >> i & 1) === 0) bloomAdd(participantBloom, sha256(client.id.signer));
  });
  return {
    proof,
    participantBloom,
    broadcastBloom: createBloom([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]),
    broadcastMerkle: new Uint8Array(32).fill(missing),
  };
}

function sendWitness(pair: Pair, who: number, proof: Witness["proof"], twist: number): void {
  const user = pair.users[who];
  const message = witnessMessage(pair, proof, twist ^ pair.neglected);
  const send = instructions.witnessInstruction({
    ...pair.run.asUser(user),
    ...message,
    metadata: {
      step: 0,
      tokensPerSecond: 0,
      bandwidthPerSecond: 0,
      loss: 1,
      evals: [],
      promptResults: [],
      promptIndex: 0,
      efficiency: 0,
    },
  });
  pair.both("witness", send, (s) => model.witness(s, user.toBytes(), message, pair.clock));
}

Deno.test("program and model agree on random runs", () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(
      configs,
      checkpoints,
      fc.constantFrom(1, 64, 2048, 0xffffffff),
      fc.constantFrom(0, 2, 6),
      fc.array(steps, { minLength: 20, maxLength: 50, size: "max" }),
      (config, checkpoint, maxSeqLen, neglected, actions) => {
        const pair = new Pair(config, { checkpoint, maxSeqLen }, neglected, seen);
        step(pair, { do: "resume" });
        for (let pick = 0; pick < 4; pick++) step(pair, { do: "join", pick, twist: pick });
        for (const action of actions) step(pair, action);
      },
    ),
    { seed: seed(), numRuns: 25 },
  );
  const total = [...seen.values()].reduce((a, b) => a + b, 0);
  console.log(`${total} instructions compared:`, Object.fromEntries([...seen].sort()));
  for (const what of ["tick", "join", "witness", "warmup", "resume"]) {
    assert.ok(seen.has(`${what}: done`), `${what} never succeeded`);
  }
});
