/** docs/protocol/coordinator-state-machine.md section 15, against the built program. */
import assert from "node:assert/strict";
import { setFutureEpochRatesInstruction } from "../../lib/chain/coordinator_instructions.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { currentRound } from "../../lib/protocol/run_state.ts";
import { Chain, Run } from "./harness.ts";

const SEEDS = [
  1837593782101812151n,
  8479603970288710078n,
  6189653907163654759n,
  960701815514120423n,
] as const;

// time, slot, event, state, start, step, epoch, head = height, data index, seed, witnesses, last step,
// next active, epoch start data index, checkpoint
const TRACE: [
  number,
  number,
  string,
  keyof typeof RunState,
  number,
  number,
  number,
  number,
  number,
  bigint,
  number,
  number,
  number,
  number,
  string,
][] = [
  [1000, 50, "resume", "WaitingForMembers", 1000, 1, 0, 0, 0, 0n, 0, 0, 1, 0, "Hub"],
  [1000, 50, "join A", "WaitingForMembers", 1000, 1, 0, 0, 0, 0n, 0, 0, 1, 0, "Hub"],
  [1001, 52, "join B", "WaitingForMembers", 1000, 1, 0, 0, 0, 0n, 0, 0, 1, 0, "Hub"],
  [1001, 52, "join C", "WaitingForMembers", 1000, 1, 0, 0, 0, 0n, 0, 0, 1, 0, "Hub"],
  [1002, 54, "tick", "WaitingForMembers", 1000, 1, 0, 0, 0, 0n, 0, 0, 1, 0, "Hub"],
  [1003, 56, "tick", "Warmup", 1003, 1, 0, 0, 0, 0n, 0, 0, 1, 0, "Hub"],
  [1012, 76, "tick", "Warmup", 1003, 1, 0, 0, 0, 0n, 0, 0, 1, 0, "Hub"],
  [1013, 78, "tick", "RoundTrain", 1013, 1, 0, 0, 0, SEEDS[0], 0, 0, 2, 0, "Hub"],
  [1019, 90, "witness A", "RoundWitness", 1019, 1, 0, 0, 0, SEEDS[0], 1, 0, 2, 0, "Hub"],
  [1023, 98, "tick", "RoundTrain", 1023, 2, 0, 1, 4, SEEDS[1], 0, 0, 2, 0, "Hub"],
  [1029, 110, "witness A", "RoundWitness", 1029, 2, 0, 1, 4, SEEDS[1], 1, 0, 2, 0, "Hub"],
  [1033, 118, "tick", "RoundTrain", 1033, 3, 0, 2, 9, SEEDS[2], 0, 5, 2, 0, "Hub"],
  [1039, 130, "witness B", "RoundWitness", 1039, 3, 0, 2, 9, SEEDS[2], 1, 5, 2, 0, "Hub"],
  [1043, 138, "tick", "RoundTrain", 1043, 4, 0, 3, 14, SEEDS[3], 0, 5, 2, 0, "Hub"],
  [1049, 150, "witness A", "RoundWitness", 1049, 4, 0, 3, 14, SEEDS[3], 1, 5, 2, 0, "Hub"],
  [1053, 158, "tick", "Cooldown", 1053, 5, 0, 3, 14, SEEDS[3], 0, 5, 2, 0, "Hub"],
  [1058, 168, "tick", "WaitingForMembers", 1058, 5, 1, 3, 14, SEEDS[3], 0, 5, 2, 20, "P2P"],
];

/** Log lines of the ticks that begin and end the epoch, by time. */
const LOGS: Record<number, string[]> = {
  1003: [
    "Instruction: Tick",
    "Nonce: 8",
    "Pending active clients ids: 3",
    "Pre-tick run state: Waiting for members",
    "New epoch just starting, save epoch rewards rate",
    "Post-tick run state: Warmup",
  ],
  1013: [
    "Instruction: Tick",
    "Nonce: 10",
    "Pre-tick run state: Warmup",
    "New epoch just starting, save epoch active clients",
    "Post-tick run state: Training",
  ],
  1058: [
    "Instruction: Tick",
    "Nonce: 19",
    "Pre-tick run state: Cooldown",
    "Epoch end, sucecsss: true",
    "Post-tick run state: Waiting for members",
  ],
};

Deno.test("the program follows the conformance trace, pays 300 points each and counts 17 nonces", () => {
  const chain = new Chain();
  const run = new Run(chain).create().configure();
  chain.run(setFutureEpochRatesInstruction({ ...run.asOwner(), earningRateTotalShared: 900n }));
  const nonceBefore = run.state().nonce;
  const units = new Map<string, number>();
  const wallets = new Map(["A", "B", "C"].map((name) => [name, chain.wallet(name)]));
  for (const [time, slot, event, ...expected] of TRACE) {
    chain.at(BigInt(time), BigInt(slot));
    const [what, name] = event.split(" ");
    const wallet = wallets.get(name);
    let result;
    if (what === "resume") result = chain.run(run.setPaused(false));
    else if (what === "tick") result = chain.run(run.tick());
    else if (what === "join") result = chain.run(run.join(wallet!));
    else {
      const [elected] = run.elected();
      assert.ok(elected.user.equals(wallet!), `${event} at ${time}: another client is elected`);
      result = chain.run(run.witness(elected.user, elected.proof));
    }
    if (time in LOGS) assert.deepEqual(result.logs, LOGS[time]);
    units.set(what, Math.max(units.get(what) ?? 0, result.units));
    const state = run.state();
    const round = currentRound(state);
    const { epochState: epoch, progress } = state;
    assert.equal(round.height, epoch.roundsHead);
    assert.deepEqual(
      [
        Object.entries(RunState).find(([, value]) => value === state.runState)![0],
        Number(state.runStateStartUnixTimestamp),
        progress.step,
        progress.epoch,
        round.height,
        Number(round.dataIndex),
        round.randomSeed,
        round.witnesses.length,
        epoch.lastStep,
        Number(state.clientsState.nextActive),
        Number(progress.epochStartDataIndex),
        state.model.checkpoint.kind,
      ],
      expected,
      `${event} at ${time}`,
    );
  }
  const state = run.state();
  assert.deepEqual(state.clientsState.clients.map((c) => [c.earned, c.slashed, c.active]), [
    [300n, 0n, 1n],
    [300n, 0n, 1n],
    [300n, 0n, 1n],
  ]);
  assert.equal(state.nonce - nonceBefore, 17n);
  console.log("compute units at most:", Object.fromEntries(units));
});
