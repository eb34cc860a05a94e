/** What the programs cost: compute units of each instruction by number of clients, sizes and rent. */
import * as coordinator from "../../lib/chain/coordinator_instructions.ts";
import { selectRoundCommittee } from "../../lib/protocol/committee.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { previousRound } from "../../lib/protocol/run_state.ts";
import { Chain, key, programFile, type Run, TRACE_CONFIG, TRACE_MODEL } from "./harness.ts";
import {
  claimScene,
  INSTRUCTIONS,
  playRound,
  type ProgramName,
  SCENES,
  waitingRun,
} from "./scenes.ts";

/** Compute units by `program.instruction`, the most that was seen. */
export type Units = Record<string, number>;

export interface ProgramSize {
  bytes: number;
  /** SHA-256 is in programs/checksums.json. Rent of the program and its data, lamports. */
  rentLamports: number;
  /** The same and the buffer that is held while deploying, lamports. */
  deployLamports: number;
}

export interface Costs {
  /** By number of clients. */
  units: Record<number, Units>;
  sizes: Record<ProgramName, ProgramSize>;
}

/** Headers of the upgradeable loader's accounts, bytes. */
const [PROGRAM, PROGRAM_DATA, BUFFER] = [36, 45, 37];

/**
 * Plays a run of each number of clients (1 to 256) through all its states. The client that acts is the
 * last one of the list, which is the most expensive.
 */
export function measureCosts(counts: readonly number[] = [1, 16, 256]): Costs {
  const chain = new Chain();
  const rent = (bytes: number) => Number(chain.svm.minimumBalanceForRentExemption(BigInt(bytes)));
  const size = (name: ProgramName): ProgramSize => {
    const bytes = programFile(name).length;
    const rentLamports = rent(PROGRAM) + rent(PROGRAM_DATA + bytes);
    return { bytes, rentLamports, deployLamports: rentLamports + rent(BUFFER + bytes) };
  };
  return {
    units: Object.fromEntries(counts.map((count) => [count, measureUnits(count)])),
    sizes: {
      authorizer: size("authorizer"),
      coordinator: size("coordinator"),
      treasurer: size("treasurer"),
    },
  };
}

/** @see measureCosts */
export function measureUnits(count: number): Units {
  const played = playedUnits(count);
  const claim = claimScene(count);
  const others: Units = {};
  for (const [program, name] of INSTRUCTIONS) {
    const what = `${program}.${name}`;
    if (what in played || name === "participant_claim") continue;
    const { chain, instruction } = SCENES[program][name]();
    others[what] = chain.run(instruction).units;
  }
  const claimed = claim.chain.run(claim.instruction).units;
  return { ...others, "treasurer.participant_claim": claimed, ...played };
}

function playedUnits(count: number): Units {
  const units: Units = {};
  const record = (instruction: string, used: number) => {
    const what = `coordinator.${instruction}`;
    units[what] = Math.max(units[what] ?? 0, used);
  };
  const names = Array.from({ length: count }, (_, i) => `client ${i}`);
  const run = waitingRun({
    initMinClients: count,
    minClients: 1,
    witnessNodes: 0,
    epochTime: 10_000n,
    totalSteps: 4,
    globalBatchSizeEnd: 300,
  });
  const { chain } = run;
  const tick = (seconds: bigint) => {
    const before = run.state().runState;
    chain.at(chain.time + seconds, chain.slot + 2n * seconds);
    const used = chain.run(run.tick()).units;
    record("tick", used);
    record(`tick ${stateName(before)} -> ${stateName(run.state().runState)}`, used);
  };
  for (const name of names) record("join_run", chain.run(run.join(chain.wallet(name))).units);
  record("join_run", chain.run(run.join(key(names[count - 1]))).units);
  tick(60n);
  const early = chain.run(run.warmupWitness(key(names[count - 1]), BigInt(count - 1)));
  record("warmup_witness", early.units);
  if (run.state().runState === RunState.Warmup) tick(60n);
  const lazy = count - 1;
  witnessRound(run, record, tick);
  playRound(run, lazy);
  record("health_check", chain.run(healthCheck(run, lazy)).units);
  const checkpoint = { kind: "Hub", repo: { repoId: "n/r", revision: null } } as const;
  const user = key(names[lazy]);
  const sent = coordinator.checkpointInstruction({ ...run.asUser(user), checkpoint });
  record("checkpoint", chain.run(sent).units);
  witnessRound(run, record, tick);
  record("set_paused", chain.run(run.setPaused(true)).units);
  tick(60n);
  const update = { ...run.asOwner(), config: TRACE_CONFIG, model: TRACE_MODEL };
  record("update", chain.run(coordinator.updateInstruction(update)).units);
  record("set_paused", chain.run(run.setPaused(false)).units);
  return units;
}

/** A round with its witnesses, up to the state after it. */
function witnessRound(
  run: Run,
  record: (what: string, used: number) => void,
  tick: (seconds: bigint) => void,
): void {
  for (const { user, proof } of run.elected()) {
    record("witness", run.chain.run(run.witness(user, proof)).units);
  }
  tick(20n);
}

function healthCheck(run: Run, target: number) {
  const state = run.state();
  return coordinator.healthCheckInstruction({
    ...run.asUser(key("client 0")),
    target: state.epochState.clients[target].id,
    ...selectRoundCommittee(state, previousRound(state)!).committeeProof(target),
  });
}

function stateName(state: number): string {
  return Object.entries(RunState).find(([, value]) => value === state)![0];
}
