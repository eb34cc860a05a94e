/**
 * Errors and limits of docs/protocol/onchain-*.md that the other tests of this folder do not reach,
 * against the built programs.
 *
 * Numbers no instruction can give, and why:
 * - 2011 (`ConstraintClose`): a close target must belong to the system program (3011), and an account
 *   that is closed belongs to the closing program. (Closing an IDL account, whose target may be any
 *   account, does give it: idl_account_test.ts.)
 * - 6006: leaving Uninitialized sets step 1, and `update` refuses step 0.
 * - 6010: a health check needs height 2 or more, and then the previous round exists.
 * - 6016, 6019: declared for clients, returned by nothing.
 * - 6017: a round ends, or training ends, at the 32nd witness at the latest, and nobody is stored twice.
 * - 6023: a run id above 32 bytes is no seed, so deriving the address aborts before.
 * - 3016: arguments that grow an authorization by more than 10240 bytes fit no transaction and no
 *   cross-program call.
 * - 4101: the payer would have to sign as the account to create, which has no key.
 * Where an account made by hand (or a signature nobody checks) reaches one nevertheless, it is tested.
 */
import assert from "node:assert/strict";
import { PublicKey } from "@solana/web3.js";
import { FailedTransactionMetadata } from "litesvm";
import {
  setFutureEpochRatesInstruction,
  updateInstruction,
} from "../../lib/chain/coordinator_instructions.ts";
import {
  ClientState,
  type CoordinatorConfig,
  RunState,
} from "../../lib/protocol/coordinator_state.ts";
import { currentRound } from "../../lib/protocol/run_state.ts";
import { assertError, Chain, key, Run, TRACE_CONFIG } from "./harness.ts";
import { encodeTransaction, rawInstruction } from "./raw_transaction.ts";
import {
  changed,
  healthCheckScene,
  playRound,
  SCENES,
  trainingRun,
  wait,
  waitingRun,
  warmupRun,
} from "./scenes.ts";

const NAMES = Array.from({ length: 256 }, (_, i) => `client ${i}`);

/** Changes bytes of an account directly. */
function patch(chain: Chain, address: PublicKey, owner: PublicKey, edit: (view: DataView) => void) {
  const data = chain.data(address);
  edit(new DataView(data.buffer, data.byteOffset, data.byteLength));
  chain.put(address, data, owner);
}

const patchRun = (run: Run, edit: (view: DataView) => void) =>
  patch(run.chain, run.account, run.chain.ids.coordinator, edit);

const patchConfig = (run: Run, change: Partial<CoordinatorConfig>) => {
  const pause = run.state().runState;
  patchRun(run, (view) => view.setUint8(408, RunState.Paused));
  run.configure(change);
  patchRun(run, (view) => view.setUint8(408, pause));
};

Deno.test("2011 is never reached: the account to close fails as spill before", () => {
  for (
    const [program, name, spill, closed] of [
      ["authorizer", "authorization_close", 1, [2]],
      ["coordinator", "free_coordinator", 1, [2, 3]],
    ] as const
  ) {
    const { chain, instruction } = SCENES[program][name]();
    for (const i of closed) {
      const pubkey = instruction.keys[i].pubkey;
      const result = chain.send(changed(instruction, { keys: { [spill]: { pubkey } } }));
      assertError(result, 3011, "AccountNotSystemOwned", "spill");
    }
  }
});

Deno.test("3009: a program account that is not executable", () => {
  for (
    const [program, name, at] of [
      ["authorizer", "authorization_create", 3],
      ["coordinator", "init_coordinator", 3],
      ["treasurer", "participant_claim", 6],
    ] as const
  ) {
    const { chain, instruction } = SCENES[program][name]();
    const account = instruction.keys[at].pubkey;
    chain.put(account, new Uint8Array(4), PublicKey.default, 1n);
    const label = program === "treasurer" ? "token_program" : "system_program";
    assertError(chain.send(instruction), 3009, "InvalidProgramExecutable", label);
  }
});

Deno.test("4101: the payer is the account to create, and that has lamports", () => {
  for (
    const [program, name, target] of [
      ["authorizer", "authorization_create", 2],
      ["coordinator", "init_coordinator", 1],
      ["treasurer", "participant_create", 3],
    ] as const
  ) {
    const { chain, instruction } = SCENES[program][name]();
    const pubkey = instruction.keys[target].pubkey;
    chain.put(pubkey, new Uint8Array(0), PublicKey.default, 1_000_000n);
    const result = chain.send(changed(instruction, { keys: { 0: { pubkey } } }));
    assertError(result, 4101, "TryingToInitPayerAsProgramAccount");
  }
});

Deno.test("an account to create may hold lamports, more than it needs or less", () => {
  for (const lamports of [1n, 5_000_000_000n]) {
    const { chain, instruction } = SCENES.authorizer.authorization_create();
    const { pubkey } = instruction.keys[2];
    chain.put(pubkey, new Uint8Array(0), PublicKey.default, lamports);
    chain.run(instruction);
    assert.equal(chain.balance(pubkey), lamports < 1_642_560n ? 1_642_560n : lamports);
    assert.equal(chain.data(pubkey).length, 108);
  }
});

Deno.test("3016: growth of an authorization by 320 delegates and by 321", () => {
  const { chain, instruction } = SCENES.authorizer.authorization_grantee_update();
  const payer = chain.wallet("fee payer");
  const add = (count: number) => {
    const head = Buffer.concat([instruction.data.subarray(0, 8), Buffer.alloc(5)]);
    head.writeUInt32LE(count, 9);
    const data = Buffer.concat([head, Buffer.alloc(32 * count, 5)]);
    return encodeTransaction(payer, { ...rawInstruction(instruction), data });
  };
  const refused = chain.svm.sendLegacyTransaction(add(321));
  assert.ok(refused instanceof FailedTransactionMetadata);
  assert.match(refused.meta().logs().join(), /AccountReallocExceedsLimit\. Error Number: 3016/);
  assert.ok(!(chain.svm.sendLegacyTransaction(add(320)) instanceof FailedTransactionMetadata));
  assert.equal(chain.data(instruction.keys[2].pubkey).length, 108 + 32 + 10_240);
});

Deno.test("6000: a finished run takes no update, not even of its metadata", () => {
  const run = trainingRun({ totalSteps: 2, epochTime: 10_000n });
  playRound(run);
  assert.equal(run.state().runState, RunState.Cooldown);
  wait(run, 5n);
  assert.equal(run.state().runState, RunState.Finished);
  const metadata = { name: "n", description: "", numParameters: 0n, vocabSize: 0n };
  for (const part of [{ metadata }, { config: TRACE_CONFIG }, {}]) {
    const result = run.chain.send(updateInstruction({ ...run.asOwner(), ...part }));
    assertError(result, 6000, "UpdateConfigFinished");
  }
  assertError(run.chain.send(run.tick()), 6015, "CoordinatorErrorHalted");
  assertError(run.chain.send(run.setPaused(true)), 6015, "CoordinatorErrorHalted");
  assertError(run.chain.send(run.setPaused(false)), 6018, "CoordinatorErrorCannotResume");
});

Deno.test("6003 and 6022: the 257th client, and one more client than sequences", () => {
  const full = waitingRun({ globalBatchSizeEnd: 257 });
  for (const name of NAMES) full.chain.run(full.join(full.chain.wallet(name)));
  assertError(full.chain.send(full.join(full.chain.wallet("late"))), 6003, "ClientsFull");
  // Equality, not "at least": a limit lowered below the number of clients does not hold anybody off.
  patchConfig(full, { globalBatchSizeEnd: 256 });
  const result = full.chain.send(full.join(full.chain.wallet("late")));
  assertError(result, 6022, "MoreClientsThanBatches");
  patchConfig(full, { globalBatchSizeEnd: 255 });
  assertError(full.chain.send(full.join(full.chain.wallet("late"))), 6003, "ClientsFull");
  full.chain.run(full.join(key(NAMES[255])));
  const fresh = new Run(new Chain()).create();
  assertError(
    fresh.chain.send(fresh.join(fresh.chain.wallet("A"))),
    6022,
    "MoreClientsThanBatches",
  );
});

Deno.test("6017: a 33rd witness, in an account made by hand", () => {
  const run = trainingRun({ witnessNodes: 0, globalBatchSizeEnd: 300 }, NAMES.slice(0, 33));
  const elected = run.elected();
  assert.equal(elected.length, 32);
  for (const { user, proof } of elected.slice(1)) run.chain.run(run.witness(user, proof));
  assert.equal(run.state().runState, RunState.RoundTrain);
  // One witness more than the chain would store, by somebody who was not elected.
  const outsider = run.state().epochState.clients.findIndex((client) =>
    elected.every(({ user }) => !user.equals(new PublicKey(client.id.signer)))
  );
  patchRun(run, (view) => {
    const slot = 1048 + 31 * 440;
    view.setBigUint64(slot + 8, BigInt(outsider), true);
    view.setBigUint64(1048 + 14_080, 32n, true);
  });
  const [{ user, proof }] = elected;
  const result = run.chain.send(run.witness(user, proof));
  assertError(result, 6017, "CoordinatorErrorWitnessesFull");
});

Deno.test("the 32nd witness of 256 clients ends the training, and 256 members keep their order", () => {
  const run = trainingRun({ witnessNodes: 0, globalBatchSizeEnd: 300 }, NAMES);
  assert.equal(run.state().epochState.clients.length, 256);
  const elected = run.elected();
  assert.equal(elected.length, 32);
  for (const [i, { user, proof }] of elected.entries()) {
    assert.equal(run.state().runState, RunState.RoundTrain);
    assert.equal(currentRound(run.state()).witnesses.length, i);
    run.chain.run(run.witness(user, proof));
  }
  assert.equal(run.state().runState, RunState.RoundWitness);
  assertError(
    run.chain.send(run.witness(elected[0].user, elected[0].proof)),
    6013,
    "CoordinatorErrorDuplicateWitness",
  );
  assert.deepEqual(
    run.state().epochState.clients.map((c) => new PublicKey(c.id.signer).toBase58()),
    NAMES.map((name) => key(name).toBase58()),
  );
});

Deno.test("6020: committee parameters that contradict each other", () => {
  for (const change of [{ verificationPercent: 101 }, { witnessNodes: 4 }]) {
    const { run, instruction } = healthCheckScene();
    patchConfig(run, { minClients: 4, initMinClients: 4, witnessNodes: 0, ...change });
    const invalid = "CoordinatorErrorInvalidCommitteeSelection";
    assertError(run.chain.send(instruction), 6020, invalid);
    const witness = run.witness(key("A"), { index: 0n, position: 0n, witness: 1 });
    assertError(run.chain.send(witness), 6020, invalid);
  }
});

Deno.test("6021: a health check of nobody, of another client, in another committee", () => {
  const { run, instruction } = healthCheckScene();
  const attempt = (edit: (view: DataView, data: Buffer) => void) => {
    const data = Buffer.from(instruction.data);
    edit(new DataView(data.buffer, data.byteOffset), data);
    return run.chain.send(changed(instruction, { data }));
  };
  const [COMMITTEE, POSITION, INDEX] = [8 + 64, 8 + 65, 8 + 73];
  const invalid = "CoordinatorErrorInvalidCommitteeProof";
  for (const index of [0n, 2n, 3n, 256n, 1n << 32n, (1n << 64n) - 1n]) {
    assertError(attempt((view) => view.setBigUint64(INDEX, index, true)), 6021, invalid);
  }
  for (const position of [3n, 1n << 63n]) {
    assertError(attempt((view) => view.setBigUint64(POSITION, position, true)), 6021, invalid);
  }
  for (const committee of [0, 1]) {
    assertError(attempt((view) => view.setUint8(COMMITTEE, committee)), 6021, invalid);
  }
  assertError(attempt((_, data) => data.fill(0, 8, 40)), 6021, invalid);
  // Every client a verifier: the proof holds, and how to judge a verifier nobody knows.
  patchConfig(run, { verificationPercent: 100, witnessNodes: 0 });
  const verifier = attempt((view) => view.setUint8(COMMITTEE, 1));
  assert.equal(verifier.error, "ProgramFailedToComplete");
});

Deno.test("the quorum of 1, 2, 3, 4, 5 and 32 witnesses", () => {
  for (const [nodes, quorum] of [[1, 1], [2, 2], [3, 2], [4, 2], [5, 3], [32, 21]] as const) {
    for (const sent of [quorum - 1, quorum]) {
      const run = trainingRun({
        witnessNodes: nodes,
        minClients: nodes,
        initMinClients: nodes,
        globalBatchSizeEnd: 300,
        epochTime: 10_000n,
      }, NAMES.slice(0, Math.max(nodes, 2)));
      for (const { user, proof } of run.elected().slice(0, sent)) {
        run.chain.run(run.witness(user, proof));
      }
      if (sent < nodes) wait(run, 15n);
      assert.equal(run.state().runState, RunState.RoundWitness);
      wait(run, 4n);
      const next = sent < quorum ? RunState.Cooldown : RunState.RoundTrain;
      assert.equal(run.state().runState, next, `${sent} of ${nodes} witnesses`);
    }
  }
});

Deno.test("with witness_nodes 0 one witness of many is enough", () => {
  const run = trainingRun({ witnessNodes: 0, globalBatchSizeEnd: 300 }, NAMES.slice(0, 40));
  const [{ user, proof }] = run.elected();
  run.chain.run(run.witness(user, proof));
  wait(run, 15n);
  wait(run, 4n);
  assert.equal(run.state().runState, RunState.RoundTrain);
});

Deno.test("epoch end: two more rounds after its time is over, and never before step 4", () => {
  const run = trainingRun({ epochTime: 30n });
  const steps: [number, number][] = [];
  while (run.state().runState === RunState.RoundTrain) {
    playRound(run);
    const { progress, epochState } = run.state();
    steps.push([progress.step, epochState.lastStep]);
  }
  assert.deepEqual(steps, [[2, 4], [3, 4], [4, 4]]);
  assert.equal(run.state().runState, RunState.Cooldown);

  // The last second of the epoch time still belongs to it.
  const exact = trainingRun({ epochTime: 200n, roundWitnessTime: 1n });
  const { startTimestamp } = exact.state().epochState;
  for (const [at, last] of [[199n, 0], [200n, 5]] as const) {
    const [{ user, proof }] = exact.elected();
    exact.chain.run(exact.witness(user, proof));
    wait(exact, startTimestamp + at - exact.chain.time);
    assert.equal(exact.state().epochState.lastStep, last);
  }
});

Deno.test("a state never ends in the second it began in, even with a time of 0", () => {
  const run = warmupRun({ warmupTime: 0n });
  run.chain.run(run.tick());
  assert.equal(run.state().runState, RunState.Warmup);
  wait(run, 1n);
  assert.equal(run.state().runState, RunState.RoundTrain);
});

Deno.test("a pause in mid-epoch: end of the round, cooldown, then paused; nobody is paid", () => {
  const run = trainingRun({ epochTime: 10_000n });
  run.chain.run(
    setFutureEpochRatesInstruction({ ...run.asOwner(), earningRateTotalShared: 900n }),
    run.setPaused(true),
  );
  assert.equal(run.state().runState, RunState.RoundTrain);
  run.chain.run(run.setPaused(true));
  assertError(run.chain.send(run.setPaused(false)), 6018, "CoordinatorErrorCannotResume");
  playRound(run);
  assert.equal(run.state().runState, RunState.Cooldown);
  assert.equal(run.state().pendingPause, true);
  wait(run, 5n);
  const state = run.state();
  assert.equal(state.runState, RunState.Paused);
  assert.equal(state.pendingPause, false);
  assert.equal(state.epochState.coldStartEpoch, true);
  assert.equal(state.progress.epoch, 1);
  assert.deepEqual(
    state.epochState.clients.map((client) => client.state),
    Array(3).fill(ClientState.Withdrawn),
  );
  assert.deepEqual(state.clientsState.clients.map((client) => client.earned), [0n, 0n, 0n]);
});

Deno.test("a cold start lasts to the end of the next whole epoch, and resuming voids joins", () => {
  const run = trainingRun({ epochTime: 30n });
  run.chain.run(run.setPaused(true));
  playRound(run);
  wait(run, 5n);
  const join = () => {
    for (const name of ["A", "B", "C"]) run.chain.run(run.join(key(name)));
  };
  join();
  run.chain.run(run.setPaused(false));
  wait(run, 60n);
  assert.equal(run.state().runState, RunState.WaitingForMembers, "joins while paused are void");
  assert.equal(run.state().model.checkpoint.kind, "P2P");
  join();
  assert.equal(run.state().runState, RunState.Warmup);
  assert.equal(run.state().epochState.coldStartEpoch, true);
  assert.equal(run.state().model.checkpoint.kind, "Hub", "no survivor has the weights");
  wait(run, 60n);
  while (run.state().runState === RunState.RoundTrain) playRound(run);
  assert.equal(run.state().epochState.coldStartEpoch, true);
  wait(run, 5n);
  assert.equal(run.state().epochState.coldStartEpoch, false);
  assert.equal(run.state().model.checkpoint.kind, "P2P");
});

Deno.test("128 members leave and 128 others come: the epoch starts within the default compute limit", () => {
  for (const back of [false, true]) {
    const some = { witnessNodes: 0, initMinClients: 128, minClients: 1, globalBatchSizeEnd: 300 };
    const run = trainingRun({ ...some, epochTime: 30n }, NAMES.slice(0, 128));
    while (run.state().runState === RunState.RoundTrain) playRound(run);
    wait(run, 5n);
    assert.equal(run.state().epochState.clients.length, 128);
    for (const name of NAMES.slice(128, 255)) run.chain.run(run.join(run.chain.wallet(name)));
    run.chain.at(run.chain.time + 60n, run.chain.slot + 120n);
    // The last one to join is new, or the last of those who were there.
    const last = run.chain.wallet(NAMES[back ? 127 : 255]);
    const { units } = run.chain.run(run.join(last));
    assert.ok(units < 60_000, `${units}`);
    const state = run.state();
    assert.equal(state.runState, RunState.Warmup);
    assert.equal(state.epochState.clients.length, 128);
    assert.equal(state.model.checkpoint.kind, back ? "P2P" : "Hub");
  }
});

Deno.test("a run id of 32 bytes, and of 33", () => {
  const run = new Run(new Chain(), "é".repeat(16)).create();
  assert.equal(run.state().runId, "é".repeat(16));
  const { chain, instruction } = SCENES.coordinator.init_coordinator();
  const data = Buffer.concat([
    instruction.data.subarray(0, 72),
    Buffer.from([33, 0, 0, 0]),
    Buffer.alloc(33, 65),
    Buffer.alloc(4),
  ]);
  assert.equal(chain.send(changed(instruction, { data })).error, "ProgramFailedToComplete");
});

Deno.test("sums that leave their type end the program instead of wrapping around", () => {
  const max64 = (1n << 64n) - 1n;
  const panics: [string, () => Run, (view: DataView) => void][] = [
    ["the nonce", waitingRun, (view) => view.setBigUint64(119_152, max64, true)],
    ["the end of a state", warmedRun, (view) => view.setBigUint64(968, max64, true)],
    ["the end of the epoch", () => {
      const run = trainingRun();
      const [{ user, proof }] = run.elected();
      run.chain.run(run.witness(user, proof));
      run.chain.at(run.chain.time + 4n, run.chain.slot);
      return run;
    }, (view) => view.setBigUint64(1008, max64, true)],
    ["the epoch number", cooledRun, (view) => view.setUint16(1032, 0xffff, true)],
    ["the data index", cooledRun, (view) => view.setBigUint64(15_136, max64, true)],
    ["the tokens", cooledRun, (view) => view.setBigUint64(15_136, max64 / 64n + 1n, true)],
    ["the points", cooledRun, (view) => {
      view.setBigUint64(94_424 + 72, max64, true);
      view.setBigUint64(119_016, 900n, true);
    }],
    ["the join counter", warmedRun, (view) => view.setBigUint64(119_008, max64, true)],
    ["the number of clients", waitingRun, (view) => view.setBigUint64(119_000, 257n, true)],
    ["the current round", cooledRun, (view) => view.setUint32(94_376, 4, true)],
  ];
  for (const [what, make, edit] of panics) {
    const sound = make();
    sound.chain.run(sound.tick());
    const run = make();
    patchRun(run, edit);
    const before = run.chain.data(run.account);
    assert.equal(run.chain.send(run.tick()).error, "ProgramFailedToComplete", what);
    assert.deepEqual(run.chain.data(run.account), before, what);
  }
});

/** A run whose warmup is over. */
function warmedRun(): Run {
  const run = warmupRun();
  run.chain.at(run.chain.time + 60n, run.chain.slot);
  return run;
}

/** A run whose cooldown is over. */
function cooledRun(): Run {
  const run = trainingRun({ totalSteps: 2 });
  playRound(run);
  assert.equal(run.state().runState, RunState.Cooldown);
  run.chain.at(run.chain.time + 5n, run.chain.slot);
  return run;
}
