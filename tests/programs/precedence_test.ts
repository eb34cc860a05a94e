/**
 * Which error is reported when several things are wrong: the order of docs/protocol/onchain-common.md
 * section 4, and of the handlers' own checks.
 */
import assert from "node:assert/strict";
import type { PublicKey } from "@solana/web3.js";
import * as instructions from "../../lib/chain/coordinator_instructions.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { assertError, type Chain, key, Run, TRACE_CONFIG, TRACE_MODEL } from "./harness.ts";
import { assertPrecedence, type Fault, wrong } from "./precedence.ts";
import { changed, INSTRUCTIONS, SCENES, trainingRun, warmupRun } from "./scenes.ts";

/** Accounts that are wrong in one way each. */
function wrongAccounts(chain: Chain) {
  const owned = (name: string, data: Uint8Array, owner = chain.ids.coordinator) => {
    chain.put(key(name), data, owner);
    return key(name);
  };
  return {
    nobody: key("nobody"),
    wallet: chain.wallet("wallet"),
    stranger: chain.wallet("stranger"),
    short: owned("short", new Uint8Array(7)),
    nameless: owned("nameless", new Uint8Array(173)),
    copy: (of: PublicKey) => owned("copy", chain.data(of)),
    owned,
    other: new Run(chain, "other").create(),
  };
}

const CUT_OFF: Fault = {
  apply: (instruction) => instruction.data = instruction.data.subarray(0, 8),
  error: 102,
  name: "InstructionDidNotDeserialize",
};

const unsigned = (at: number, account: string) =>
  wrong(at, { isSigner: false }, [3010, "AccountNotSigner", account]);

const readOnly = (at: number, account: string) =>
  wrong(at, { isWritable: false }, [2000, "ConstraintMut", account]);

type Wrong = ReturnType<typeof wrongAccounts>;

/** The type checks of a borsh account. */
const borsh = (at: number, account: string, { nobody, wallet, short, nameless }: Wrong) => [
  wrong(at, nobody, [3012, "AccountNotInitialized", account]),
  wrong(at, wallet, [3007, "AccountOwnedByWrongProgram", account]),
  wrong(at, short, [3001, "AccountDiscriminatorNotFound", account]),
  wrong(at, nameless, [3002, "AccountDiscriminatorMismatch", account]),
];

const zeroCopy = (at: number, account: string, all: Wrong) => borsh(at, account, all).slice(1);

const NO_ARGUMENTS = ["tick", "free_coordinator", "authorization_close"];

for (const [program, name] of INSTRUCTIONS) {
  if (program === "treasurer") continue; // has tests of its own
  Deno.test(`${name}: faults of arguments and accounts in order`, () => {
    const { chain, instruction } = SCENES[program][name]();
    const all = wrongAccounts(chain);
    if (program === "authorizer") {
      all.short = all.owned("short", new Uint8Array(7), chain.ids.authorizer);
      all.nameless = all.owned("nameless", new Uint8Array(108), chain.ids.authorizer);
    }
    const faults = (FAULTS[name] ?? group)(all, instruction.keys.map(({ pubkey }) => pubkey));
    if (!NO_ARGUMENTS.includes(name)) faults.unshift(CUT_OFF);
    // A successful instruction changes the scene: it comes last, in assertPrecedence itself.
    assertPrecedence(chain, () => [instruction], faults);
  });
}

const OWNERS = ["update", "update_client_version", "set_future_epoch_rates", "set_paused"];

/** onchain-coordinator.md section 3. */
const group = (all: Wrong, [, instance]: PublicKey[], isOwner = false): Fault[] => [
  unsigned(0, isOwner ? "authority" : "user"),
  ...borsh(1, "coordinator_instance", all),
  ...zeroCopy(2, "coordinator_account", all),
  wrong(1, all.copy(instance), [2006, "ConstraintSeeds", "coordinator_instance"]),
  ...(isOwner ? [wrong(0, all.stranger, [2003, "ConstraintRaw", "coordinator_instance"])] : []),
  readOnly(2, "coordinator_account"),
  wrong(2, all.other.account, [2003, "ConstraintRaw", "coordinator_account"]),
];

const FAULTS: Record<string, (all: Wrong, keys: PublicKey[]) => Fault[]> = {
  ...Object.fromEntries(
    OWNERS.map((name) => [name, (all: Wrong, keys: PublicKey[]) => group(all, keys, true)]),
  ),
  authorization_create: ({ nobody, stranger }) => [
    unsigned(0, "payer"),
    unsigned(1, "grantor"),
    wrong(3, nobody, [3008, "InvalidProgramId", "system_program"]),
    wrong(1, stranger, [2006, "ConstraintSeeds", "authorization"]),
  ],
  authorization_grantor_update: (all) => [
    unsigned(0, "grantor"),
    ...borsh(1, "authorization", all),
    readOnly(1, "authorization"),
    wrong(0, all.stranger, [2003, "ConstraintRaw", "authorization"]),
  ],
  authorization_grantee_update: (all) => [
    unsigned(0, "payer"),
    unsigned(1, "grantee"),
    ...borsh(2, "authorization", all),
    wrong(3, all.nobody, [3008, "InvalidProgramId", "system_program"]),
    readOnly(0, "payer"),
    readOnly(2, "authorization"),
    wrong(1, all.stranger, [2003, "ConstraintRaw", "authorization"]),
  ],
  authorization_close: (all) => [
    unsigned(0, "grantor"),
    wrong(1, all.nameless, [3011, "AccountNotSystemOwned", "spill"]),
    ...borsh(2, "authorization", all),
    wrong(3, all.nobody, [3008, "InvalidProgramId", "system_program"]),
    readOnly(1, "spill"),
    readOnly(2, "authorization"),
    wrong(0, all.stranger, [2003, "ConstraintRaw", "authorization"]),
  ],
  init_coordinator: ({ nobody, other, ...all }) => [
    unsigned(0, "payer"),
    wrong(3, nobody, [3008, "InvalidProgramId", "system_program"]),
    wrong(1, nobody, [2006, "ConstraintSeeds", "coordinator_instance"]),
    readOnly(2, "coordinator_account"),
    wrong(2, all.wallet, [2004, "ConstraintOwner", "coordinator_account"]),
    wrong(2, other.instance, [6002, "CoordinatorAccountIncorrectSize"]),
    wrong(2, other.account, [3000, "AccountDiscriminatorAlreadySet"]),
  ],
  free_coordinator: (all, [, , instance]) => [
    unsigned(0, "authority"),
    wrong(1, all.nameless, [3011, "AccountNotSystemOwned", "spill"]),
    ...borsh(2, "coordinator_instance", all),
    ...zeroCopy(3, "coordinator_account", all),
    readOnly(1, "spill"),
    wrong(2, all.copy(instance), [2006, "ConstraintSeeds", "coordinator_instance"]),
    readOnly(2, "coordinator_instance"),
    wrong(0, all.stranger, [2003, "ConstraintRaw", "coordinator_instance"]),
    readOnly(3, "coordinator_account"),
    wrong(3, all.other.account, [2003, "ConstraintRaw", "coordinator_account"]),
  ],
  join_run(all, [, , instance]) {
    const { authorizer } = all.other.chain.ids;
    const short = all.owned("short authorization", new Uint8Array(7), authorizer);
    const nameless = all.owned("nameless authorization", new Uint8Array(108), authorizer);
    return [
      unsigned(0, "user"),
      ...borsh(1, "authorization", { ...all, short, nameless }),
      ...borsh(2, "coordinator_instance", all),
      ...zeroCopy(3, "coordinator_account", all),
      wrong(1, all.other.authorization, [2003, "ConstraintRaw", "authorization"]),
      wrong(2, all.copy(instance), [2006, "ConstraintSeeds", "coordinator_instance"]),
      readOnly(3, "coordinator_account"),
      wrong(3, all.other.account, [2003, "ConstraintRaw", "coordinator_account"]),
      {
        apply: (instruction) => instruction.data[8] ^= 1,
        error: 6008,
        name: "SignerMismatch",
      },
    ];
  },
};

/** Changes bytes of the run's account directly. */
function patch({ chain, account }: Run, edit: (view: DataView) => void) {
  const data = chain.data(account);
  edit(new DataView(data.buffer, data.byteOffset, data.byteLength));
  chain.put(account, data, chain.ids.coordinator);
}

const setState = (run: Run, state: number) => patch(run, (view) => view.setUint8(408, state));

Deno.test("witness: 6007, 6015, 6012, 6020, 6011, 6013 in this order", () => {
  const run = trainingRun({ witnessNodes: 2 });
  const { chain } = run;
  const [{ user, proof }] = run.elected();
  const good = run.witness(user, proof);
  chain.run(good);
  const bad = run.witness(user, { ...proof, witness: 0 });
  const stranger = changed(bad, { keys: { 0: { pubkey: chain.wallet("stranger") } } });
  const percent = (value: number) => patch(run, (view) => view.setUint8(1030, value));
  // Everything is wrong at first; then one fault after the other is mended.
  percent(101);
  setState(run, RunState.Paused);
  assertError(chain.send(stranger), 6007, "SignerNotAClient");
  assertError(chain.send(bad), 6015, "CoordinatorErrorHalted");
  setState(run, RunState.Warmup);
  assertError(chain.send(bad), 6012, "CoordinatorErrorInvalidRunState");
  setState(run, RunState.RoundTrain);
  assertError(chain.send(bad), 6020, "CoordinatorErrorInvalidCommitteeSelection");
  percent(0);
  assertError(chain.send(bad), 6011, "CoordinatorErrorInvalidWitness");
  assertError(chain.send(good), 6013, "CoordinatorErrorDuplicateWitness");
});

Deno.test("warmup_witness: 6007, 6015, 6012, 6013 in this order", () => {
  const run = warmupRun({ witnessNodes: 0 });
  const { chain } = run;
  const good = run.warmupWitness(key("A"), 0n);
  chain.run(good);
  const stranger = changed(good, { keys: { 0: { pubkey: chain.wallet("stranger") } } });
  setState(run, RunState.Finished);
  assertError(chain.send(stranger), 6007, "SignerNotAClient");
  assertError(chain.send(good), 6015, "CoordinatorErrorHalted");
  for (const state of [RunState.WaitingForMembers, RunState.RoundWitness, RunState.Cooldown]) {
    setState(run, state);
    assertError(chain.send(good), 6012, "CoordinatorErrorInvalidRunState");
  }
  setState(run, RunState.Warmup);
  assertError(chain.send(good), 6013, "CoordinatorErrorDuplicateWitness");
});

Deno.test("health_check: 6007, 6015, 6014, 6021, 6020, 6021 in this order", () => {
  const { chain, instruction } = SCENES.coordinator.health_check();
  const run = new Run(chain);
  const edited = (edit: (data: Buffer) => void) => {
    const data = Buffer.from(instruction.data);
    edit(data);
    return changed(instruction, { data });
  };
  const [POSITION, INDEX] = [8 + 65, 8 + 73];
  const nobody = edited((data) => data.writeBigUInt64LE(9n, INDEX));
  const displaced = edited((data) => data.writeBigUInt64LE(3n, POSITION));
  const stranger = changed(nobody, { keys: { 0: { pubkey: chain.wallet("stranger") } } });
  const height = (value: number) => patch(run, (view) => view.setUint32(43_376, value, true));
  const percent = (value: number) => patch(run, (view) => view.setUint8(1030, value));
  assert.equal(run.state().epochState.roundsHead, 2);
  percent(101);
  height(1);
  setState(run, RunState.Paused);
  assertError(chain.send(stranger), 6007, "SignerNotAClient");
  assertError(chain.send(nobody), 6015, "CoordinatorErrorHalted");
  setState(run, RunState.RoundTrain);
  assertError(chain.send(nobody), 6014, "CoordinatorErrorInvalidHealthCheck");
  height(2);
  assertError(chain.send(nobody), 6021, "CoordinatorErrorInvalidCommitteeProof");
  assertError(chain.send(displaced), 6020, "CoordinatorErrorInvalidCommitteeSelection");
  percent(0);
  assertError(chain.send(displaced), 6021, "CoordinatorErrorInvalidCommitteeProof");
  chain.run(instruction);
});

Deno.test("update: 6000, 6001, 6004, 6005, 6004, 6005 in this order", () => {
  const run = new Run(SCENES.coordinator.update().chain);
  const { chain } = run;
  const attempt = (parts: Parameters<typeof instructions.updateInstruction>[0] | object) =>
    chain.send(instructions.updateInstruction({ ...run.asOwner(), ...parts }));
  const config = { ...TRACE_CONFIG, totalSteps: 0 };
  const model = { ...TRACE_MODEL, maxSeqLen: 0, coldStartWarmupSteps: 1000 };
  const progress = { epoch: 0, step: 0, epochStartDataIndex: 0n };
  const everything = { config, model, progress };
  setState(run, RunState.Finished);
  assertError(attempt(everything), 6000, "UpdateConfigFinished");
  setState(run, RunState.Cooldown);
  assertError(attempt(everything), 6001, "UpdateConfigNotHalted");
  setState(run, RunState.Paused);
  assertError(attempt(everything), 6004, "ConfigSanityCheckFailed");
  assertError(attempt({ ...everything, config: TRACE_CONFIG }), 6005, "ModelSanityCheckFailed");
  const cold = { ...TRACE_MODEL, coldStartWarmupSteps: 1000 };
  const result = attempt({ config: TRACE_CONFIG, model: cold, progress });
  assertError(result, 6004, "ConfigSanityCheckFailed");
  const last = attempt({ config: TRACE_CONFIG, model: TRACE_MODEL, progress });
  assertError(last, 6005, "ModelSanityCheckFailed");
});

Deno.test("resuming: 6004, 6005, 6004, 6006, 6018, 6015 in this order", () => {
  const { chain, instruction } = SCENES.coordinator.set_paused();
  const run = new Run(chain);
  setState(run, RunState.Cooldown);
  const u32 = (at: number, value: number) => patch(run, (view) => view.setUint32(at, value, true));
  const [TOTAL_STEPS, MAX_SEQ_LEN, COLD_STEPS, STEP] = [1016, 424, 428, 1036];
  const faults: [number, number, number, number, string][] = [
    [TOTAL_STEPS, 0, 100, 6004, "ConfigSanityCheckFailed"],
    [MAX_SEQ_LEN, 0, 64, 6005, "ModelSanityCheckFailed"],
    [COLD_STEPS, 1000, 0, 6004, "ConfigSanityCheckFailed"],
    [STEP, 0, 100, 6006, "ProgressSanityCheckFailed"],
  ];
  for (const [at, value] of faults) u32(at, value);
  for (const [at, , mended, number, name] of faults) {
    assertError(chain.send(instruction), number, name);
    u32(at, mended);
  }
  assertError(chain.send(instruction), 6018, "CoordinatorErrorCannotResume");
  setState(run, RunState.Paused);
  assertError(chain.send(instruction), 6015, "CoordinatorErrorHalted");
  u32(STEP, 99);
  chain.run(instruction);
});

Deno.test("join_run: 6022 before 6003; closing a run that is not halted: 6009", () => {
  const { chain, instruction } = SCENES.coordinator.join_run();
  const run = new Run(chain);
  patch(run, (view) => {
    view.setBigUint64(119_000, 256n, true);
    view.setUint16(1028, 256, true);
  });
  assertError(chain.send(instruction), 6022, "MoreClientsThanBatches");
  patch(run, (view) => view.setUint16(1028, 257, true));
  assertError(chain.send(instruction), 6003, "ClientsFull");
  const free = instructions.freeCoordinatorInstruction(run.asOwner());
  assertError(chain.send(free), 6009, "CloseCoordinatorNotHalted");
});
