/** docs/protocol/onchain-coordinator.md, against the built program. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { PublicKey, SystemProgram, TransactionInstruction } from "@solana/web3.js";
import * as instructions from "../../lib/chain/coordinator_instructions.ts";
import { coordinatorInstanceAddress } from "../../lib/chain/pda.ts";
import { EXAMPLE_CONFIG } from "../../lib/protocol/config_fixture.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { parseRunConfig } from "../../lib/protocol/run_config.ts";
import { currentRound } from "../../lib/protocol/run_state.ts";
import { assertError, Chain, key, Run, TRACE_CONFIG, TRACE_MODEL } from "./harness.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The same instruction with other accounts (by position) or data. */
function changed(
  instruction: TransactionInstruction,
  change: {
    keys?: Record<number, Partial<TransactionInstruction["keys"][number]>>;
    data?: Uint8Array;
    count?: number;
  },
): TransactionInstruction {
  return new TransactionInstruction({
    programId: instruction.programId,
    keys: instruction.keys.map((k, i) => ({ ...k, ...change.keys?.[i] })).slice(0, change.count),
    data: Buffer.from(change.data ?? instruction.data),
  });
}

function waitingRun(config = {}): { chain: Chain; run: Run } {
  const chain = new Chain();
  const run = new Run(chain).create().configure(config);
  chain.run(run.setPaused(false));
  return { chain, run };
}

/** A run of A, B and C in the first RoundTrain, at time 1100. */
function trainingRun(config = {}) {
  const { chain, run } = waitingRun(config);
  const users = ["A", "B", "C"].map((name) => chain.wallet(name));
  for (const user of users) chain.run(run.join(user));
  chain.at(1_050n, 60n);
  chain.run(run.tick());
  chain.at(1_100n, 70n);
  chain.run(run.tick());
  assert.equal(run.state().runState, RunState.RoundTrain);
  return { chain, run, users };
}

Deno.test("instances are at the addresses of the vectors", () => {
  const { ids } = new Chain();
  for (
    const [runId, address] of [
      ["test", "9L4yCH7TsMn9JfoXYEupuQwtcNPTTtHcyNL6uqDfjwGB"],
      ["consilience-40b", "2MV4Zy5ZF1TB4b85ajHiKdin5JD5mKa5tMdfr3MGXdQN"],
      ["this is a dummy run_id", "7A8YkWgQusRWodA6kUbutrW4S63g2oWeMF3MArExJTAe"],
      ["a".repeat(32), "8m8XEqzkzLkyNBdHoEDfBNzmnVjGXaryVbWkP19wJSEv"],
    ]
  ) {
    assert.equal(coordinatorInstanceAddress(ids, runId).toBase58(), address);
    const run = new Run(new Chain(), runId).create();
    assert.equal(run.chain.data(new PublicKey(address)).length, 173);
  }
});

Deno.test("init writes both accounts byte for byte", () => {
  const chain = new Chain();
  const run = new Run(chain).create("v1");
  const instance = chain.data(run.instance);
  assert.equal(hex(instance.subarray(0, 9)), "9c099910af181ffc" + "ff");
  const keys = [run.owner, run.owner, run.account].map((k) => hex(k.toBytes())).join("");
  assert.equal(hex(instance.subarray(9, 105)), keys);
  assert.equal(hex(instance.subarray(105)), "0400000074657374" + "00".repeat(60));
  assert.equal(chain.balance(run.instance), 2_094_960n);

  const expected = new Uint8Array(119_160);
  expected.set(Buffer.from("ef21b1372c9b562b0100000000000000", "hex"), 0);
  expected.set(Buffer.from("test"), 376);
  expected.set(Buffer.from("v1"), 119_050);
  assert.equal(sha256(chain.data(run.account)), sha256(expected));
});

Deno.test("init refuses wrong accounts in the order of the framework", () => {
  const chain = new Chain();
  const run = new Run(chain);
  const [create, init] = instructions.initCoordinatorInstructions({
    payer: run.owner,
    coordinatorAccount: run.account,
    runId: "test",
    clientVersion: "",
    mainAuthority: run.owner,
    joinAuthority: run.owner,
    rentLamports: 830_244_480,
  });
  const attempt = (change: Parameters<typeof changed>[1], size = 119_160) =>
    chain.send(
      SystemProgram.createAccount({
        fromPubkey: run.owner,
        newAccountPubkey: run.account,
        lamports: 900_000_000,
        space: size,
        programId: chain.ids.coordinator,
      }),
      changed(init, change),
    );
  assertError(attempt({ count: 3 }), 3005, "AccountNotEnoughKeys", "system_program");
  const unsigned = { pubkey: chain.wallet("unsigned"), isSigner: false };
  assertError(attempt({ keys: { 0: unsigned } }), 3010, "AccountNotSigner", "payer");
  const wrong = { pubkey: key("elsewhere") };
  assertError(attempt({ keys: { 3: wrong } }), 3008, "InvalidProgramId", "system_program");
  assertError(attempt({ keys: { 1: wrong } }), 2006, "ConstraintSeeds", "coordinator_instance");
  assertError(
    attempt({ keys: { 2: { isWritable: false, ...wrong } } }),
    2000,
    "ConstraintMut",
    "coordinator_account",
  );
  assertError(attempt({ keys: { 2: wrong } }), 2004, "ConstraintOwner", "coordinator_account");
  assertError(attempt({}, 119_159), 6002, "CoordinatorAccountIncorrectSize");
  assertError(
    attempt({ data: init.data.subarray(0, 70) }),
    102,
    "InstructionDidNotDeserialize",
  );

  // Lamports sent to the address beforehand do not keep the run from being created.
  chain.put(run.instance, new Uint8Array(0), PublicKey.default, 5_000n);
  chain.run(create, init);
  assert.equal(chain.balance(run.instance), 2_094_960n);
  assert.equal(chain.data(run.instance).length, 173);
  assert.equal(chain.send(init).error, 0, "the instance exists already");
  const again = changed(init, {
    keys: { 1: { pubkey: coordinatorInstanceAddress(chain.ids, "other") } },
    data: Buffer.from(hex(init.data).replace("0400000074657374", "050000006f74686572"), "hex"),
  });
  assertError(chain.send(again), 3000, "AccountDiscriminatorAlreadySet");
});

Deno.test("unknown instructions and cut off arguments get the framework's errors", () => {
  const chain = new Chain();
  const run = new Run(chain).create();
  const tick = run.tick();
  assertError(
    chain.send(changed(tick, { data: tick.data.subarray(0, 7) })),
    101,
    "InstructionFallbackNotFound",
  );
  const event = Buffer.from("e445a52e51cb9a1d", "hex");
  assertError(chain.send(changed(tick, { data: event })), 1500, "EventInstructionStub");
  // Surplus bytes and accounts are ignored.
  const long = changed(tick, { data: Buffer.concat([tick.data, Buffer.alloc(40)]) });
  long.keys.push(...Array.from({ length: 12 }, (_, i) => ({
    pubkey: key(`surplus ${i}`),
    isSigner: false,
    isWritable: false,
  })));
  assertError(chain.send(long), 6015, "CoordinatorErrorHalted");

  const update = instructions.updateInstruction({
    ...run.asOwner(),
    config: TRACE_CONFIG,
    model: TRACE_MODEL,
    metadata: { name: "n", description: "d", numParameters: 1n, vocabSize: 2n },
    progress: { epoch: 1, step: 2, epochStartDataIndex: 3n },
  });
  for (let length = 8; length < update.data.length; length += 1 + length % 7) {
    const result = chain.send(changed(update, { data: update.data.subarray(0, length) }));
    assertError(result, 102, "InstructionDidNotDeserialize");
  }
  // NaN as base_lr, found by the f64 0.5 before it.
  const at = hex(update.data).indexOf("000000000000e03f") / 2;
  const nan = Uint8Array.from(update.data);
  nan.set(Buffer.from("000000000000f87f", "hex"), at);
  assertError(chain.send(changed(update, { data: nan })), 102, "InstructionDidNotDeserialize");
});

Deno.test("the account groups are checked in the order of the framework", () => {
  const chain = new Chain();
  const run = new Run(chain).create().configure();
  const other = new Run(chain, "other").create();
  const pause = run.setPaused(false);
  const wallet = { pubkey: chain.wallet("wallet") };
  const attempt = (change: Parameters<typeof changed>[1]) => chain.send(changed(pause, change));
  assertError(attempt({ count: 2 }), 3005, "AccountNotEnoughKeys", "coordinator_account");
  assertError(attempt({ keys: { 0: { isSigner: false } } }), 3010, "AccountNotSigner", "authority");
  assertError(
    attempt({ keys: { 1: { pubkey: key("nobody") } } }),
    3012,
    "AccountNotInitialized",
    "coordinator_instance",
  );
  assertError(attempt({ keys: { 1: wallet } }), 3007, "AccountOwnedByWrongProgram");
  const swapped = { pubkey: run.account };
  assertError(attempt({ keys: { 1: swapped } }), 3002, "AccountDiscriminatorMismatch");
  assertError(attempt({ keys: { 2: wallet } }), 3007, "AccountOwnedByWrongProgram");
  chain.put(key("short"), new Uint8Array(7), chain.ids.coordinator);
  assertError(
    attempt({ keys: { 2: { pubkey: key("short") } } }),
    3001,
    "AccountDiscriminatorNotFound",
    "coordinator_account",
  );
  assertError(attempt({ keys: { 0: wallet } }), 2003, "ConstraintRaw", "coordinator_instance");
  assertError(
    attempt({ keys: { 2: { isWritable: false } } }),
    2000,
    "ConstraintMut",
    "coordinator_account",
  );
  assertError(
    attempt({ keys: { 2: { pubkey: other.account } } }),
    2003,
    "ConstraintRaw",
    "coordinator_account",
  );
  // A copy of the instance at another address has the right content and the wrong seeds.
  chain.put(key("copy"), chain.data(run.instance), chain.ids.coordinator);
  assertError(
    attempt({ keys: { 1: { pubkey: key("copy") } } }),
    2006,
    "ConstraintSeeds",
    "coordinator_instance",
  );
  const broken = chain.data(run.instance);
  broken[105] = 200;
  chain.put(key("broken"), broken, chain.ids.coordinator);
  assertError(
    attempt({ keys: { 1: { pubkey: key("broken") } } }),
    3003,
    "AccountDidNotDeserialize",
    "coordinator_instance",
  );
  const old = chain.data(run.account);
  old[8] = 2;
  chain.put(run.account, old, chain.ids.coordinator);
  assertError(attempt({}), 2003, "ConstraintRaw", "coordinator_account");
});

Deno.test("the example of run-config.md gives its memory image", () => {
  const chain = new Chain();
  const run = new Run(chain).create();
  const { config, model } = parseRunConfig(EXAMPLE_CONFIG, "example.toml");
  const update = instructions.updateInstruction({ ...run.asOwner(), config, model });
  assert.equal(update.data.length, 375);
  assert.equal(
    sha256(update.data),
    "ab2e6b802832361b1d09a80f9b4ce51f5fca411a8beb823847514286c3f2754c",
  );
  chain.run(update);
  const data = chain.data(run.account);
  assert.equal(
    sha256(data.subarray(416, 968)),
    "15914c1fd4381e5a5e9587009668eb4b6a1ca829a33531cad453e5e356b973f5",
  );
  assert.equal(
    hex(data.subarray(968, 1032)),
    "78000000000000002d000000000000003c000000000000000400000000000000" +
      "40420f000000000008070000000000008813000003000200010010004000000a",
  );
});

Deno.test("every variant of the model is stored as the codec reads it", () => {
  const chain = new Chain();
  const run = new Run(chain).create();
  const repo = { repoId: "a/b", revision: null };
  const bucket = { bucket: "bucket", prefix: "some/prefix" };
  const seed = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
  const variants: Partial<typeof TRACE_MODEL>[] = [
    { checkpoint: { kind: "Dummy", repo: { repoId: "", revision: null } } },
    { checkpoint: { kind: "P2P", repo } },
    { checkpoint: { kind: "Gcs", repo: bucket } },
    { checkpoint: { kind: "P2PGcs", repo: { bucket: "b", prefix: null } } },
    { dataLocation: { kind: "Server", address: "host:1" }, dataType: "Finetuning" },
    { dataLocation: { kind: "Local", path: "/data" }, architecture: "Torchtitan" },
    { dataLocation: { kind: "WeightedHttp", url: "http://x/y.json" } },
    { dataLocation: { kind: "Preprocessed", path: "set" }, architecture: "HfDeepseek" },
    {
      dataLocation: {
        kind: "Http",
        location: { kind: "SingleUrl", url: "http://x/a.bin" },
        tokenSizeInBytes: "TwoBytes",
        shuffle: { kind: "DontShuffle" },
      },
    },
    {
      dataLocation: {
        kind: "Http",
        location: { kind: "Gcp", bucketName: "b", filterDirectory: "dir" },
        tokenSizeInBytes: "FourBytes",
        shuffle: { kind: "Seeded", seed },
      },
    },
    {
      lrSchedule: {
        kind: "Linear",
        baseLr: 0.25,
        warmupInitLr: 0.125,
        finalLr: 0.0625,
        warmupSteps: 7,
        totalSteps: 9,
      },
    },
    {
      lrSchedule: {
        kind: "WarmupStableDecay",
        baseLr: 0.25,
        warmupInitLr: 0.125,
        cosineDecayFinalLr: 0.0625,
        linearDecayFinalLr: 0.03125,
        warmupSteps: 7,
        stableSteps: 8,
        cosineDecaySteps: 9,
        linearDecaySteps: 10,
      },
    },
    {
      optimizer: {
        kind: "AdamW",
        betas: [0.5, 0.25],
        weightDecay: 0.125,
        eps: 0.0625,
        clipGradNorm: 2,
      },
    },
    {
      optimizer: {
        kind: "Distro",
        clipGradNorm: null,
        weightDecay: 0.5,
        compressionDecay: 0.75,
        compressionTopk: 1,
        compressionChunk: 2,
        quantize1bit: false,
      },
    },
  ];
  for (const variant of variants) {
    const model = { ...TRACE_MODEL, ...variant };
    run.configure({}, variant);
    assert.deepEqual(run.state().model, model);
  }
});

Deno.test("update validates config, model and progress in that order", () => {
  const chain = new Chain();
  const run = new Run(chain).create();
  const attempt = (parts: Partial<Parameters<typeof instructions.updateInstruction>[0]>) =>
    chain.send(instructions.updateInstruction({ ...run.asOwner(), ...parts }));
  const badConfigs = [
    { epochTime: 0n, warmupTime: 0n },
    { warmupTime: 30n },
    { maxRoundTrainTime: 0n },
    { maxRoundTrainTime: 30n },
    { roundWitnessTime: 0n },
    { minClients: 0, witnessNodes: 0 },
    { initMinClients: 1 },
    { initMinClients: 257 },
    { globalBatchSizeStart: 0 },
    { globalBatchSizeEnd: 0, globalBatchSizeStart: 0 },
    { globalBatchSizeEnd: 3 },
    { totalSteps: 0 },
    { witnessNodes: 3 },
    { witnessNodes: 33, minClients: 40, initMinClients: 40 },
    { cooldownTime: 0n },
    { waitingForMembersExtraTime: 0 },
  ];
  for (const bad of badConfigs) {
    const result = attempt({
      config: { ...TRACE_CONFIG, ...bad },
      model: { ...TRACE_MODEL, maxSeqLen: 0 },
    });
    assertError(result, 6004, "ConfigSanityCheckFailed");
  }
  const empty = { repoId: "", revision: "r" };
  const numbered = {
    kind: "NumberedFiles",
    urlTemplate: "{}",
    startIndex: 0,
    nLeftPadZeros: 0,
    numFiles: 0,
  } as const;
  const http = {
    kind: "Http",
    tokenSizeInBytes: "TwoBytes",
    shuffle: { kind: "DontShuffle" },
  } as const;
  const bucket = { kind: "Gcp", bucketName: "", filterDirectory: "d" } as const;
  const location = "model check failed: bad LLM training data location.";
  const badModels: [Partial<typeof TRACE_MODEL>, string][] = [
    [{ maxSeqLen: 0 }, "model check failed: max_seq_len is 0."],
    [{ dataLocation: { kind: "Server", address: "" } }, location],
    [{ dataLocation: { kind: "WeightedHttp", url: "" } }, location],
    [{ dataLocation: { kind: "Preprocessed", path: "" } }, location],
    [{ dataLocation: { ...http, location: { kind: "SingleUrl", url: "" } } }, location],
    [{ dataLocation: { ...http, location: numbered } }, location],
    [
      { dataLocation: { ...http, location: { ...numbered, urlTemplate: "", numFiles: 1 } } },
      location,
    ],
    [{ dataLocation: { ...http, location: bucket } }, location],
    [{ checkpoint: { kind: "Ephemeral" } }, "model check failed: bad checkpoint"],
    [{ checkpoint: { kind: "Hub", repo: empty } }, "model check failed: bad checkpoint"],
    [{ optimizer: { kind: "Dummy" } }, "model check failed: bad optimizer"],
  ];
  for (const [bad, line] of badModels) {
    const result = attempt({ config: TRACE_CONFIG, model: { ...TRACE_MODEL, ...bad } });
    assertError(result, 6005, "ModelSanityCheckFailed");
    assert.ok(result.logs.includes(line), result.logs.join("\n"));
  }
  // 30 s epoch, 10 s warmup, 15 s rounds: one step fits.
  const model = { ...TRACE_MODEL, coldStartWarmupSteps: 2 };
  const cold = attempt({ config: TRACE_CONFIG, model });
  assertError(cold, 6004, "ConfigSanityCheckFailed");
  assert.ok(cold.logs.some((line) => line.includes("cold_start_warmup_steps 2")));
  assert.equal(attempt({ model }).error, "ProgramFailedToComplete", "no config: division by zero");
  assert.equal(
    attempt({ config: TRACE_CONFIG, model: { ...model, coldStartWarmupSteps: 1 } }).error,
    null,
  );
  const progress = { epoch: 3, step: 0, epochStartDataIndex: 9n };
  assertError(attempt({ progress }), 6005, "ModelSanityCheckFailed");
  assert.equal(attempt({ progress: { ...progress, step: 7 } }).error, null);
  const metadata = { name: "Name", description: "Text", numParameters: 5n, vocabSize: 6n };
  chain.run(instructions.updateInstruction({ ...run.asOwner(), metadata }));
  const state = run.state();
  assert.deepEqual([state.progress, state.metadata], [{ ...progress, step: 7 }, metadata]);
  assert.equal(state.nonce, 3n);
});

Deno.test("a run that is not halted takes metadata only", () => {
  const { chain, run } = waitingRun();
  const attempt = (parts: Partial<Parameters<typeof instructions.updateInstruction>[0]>) =>
    chain.send(instructions.updateInstruction({ ...run.asOwner(), ...parts }));
  const progress = { epoch: 0, step: 1, epochStartDataIndex: 0n };
  for (const part of [{ config: TRACE_CONFIG }, { model: TRACE_MODEL }, { progress }]) {
    assertError(attempt(part), 6001, "UpdateConfigNotHalted");
  }
  const metadata = { name: "x", description: "", numParameters: 0n, vocabSize: 0n };
  assert.equal(attempt({ metadata }).error, null);
  const version = instructions.updateClientVersionInstruction({
    ...run.asOwner(),
    clientVersion: "v2",
  });
  assertError(chain.send(version), 6001, "UpdateConfigNotHalted");
  const free = instructions.freeCoordinatorInstruction(run.asOwner());
  assertError(chain.send(free), 6009, "CloseCoordinatorNotHalted");
});

Deno.test("the client version changes without a nonce, and has at most 96 bytes", () => {
  const chain = new Chain();
  const run = new Run(chain).create("a long version");
  const change = (clientVersion: string) =>
    instructions.updateClientVersionInstruction({ ...run.asOwner(), clientVersion });
  const { logs } = chain.run(change("v2"));
  assert.ok(logs.includes("new version: v2"));
  assert.equal(run.state().clientVersion, "v2");
  assert.equal(run.state().nonce, 0n);
  chain.run(change("x".repeat(96)));
  const data = Buffer.from(change("").data);
  const long = Buffer.concat([
    data.subarray(0, 8),
    Buffer.from([97, 0, 0, 0]),
    Buffer.alloc(97, 65),
  ]);
  assert.equal(chain.send(changed(change(""), { data: long })).error, "ProgramFailedToComplete");
});

Deno.test("free closes both accounts into the spill account", () => {
  const chain = new Chain();
  const run = new Run(chain).create();
  const spill = chain.wallet("spill", 1_000_000n);
  const free = instructions.freeCoordinatorInstruction({ ...run.asOwner(), spill });
  const stranger = { 0: { pubkey: chain.wallet("stranger") } };
  assertError(chain.send(changed(free, { keys: stranger })), 2003, "ConstraintRaw");
  const notSystem = { 1: { pubkey: run.account } };
  assertError(
    chain.send(changed(free, { keys: notSystem })),
    3011,
    "AccountNotSystemOwned",
    "spill",
  );
  chain.run(free);
  assert.equal(chain.balance(spill), 1_000_000n + 2_094_960n + 830_244_480n);
  assert.equal(chain.balance(run.account) + chain.balance(run.instance), 0n);
});

Deno.test("joining: signer, authorization, refresh and limits", () => {
  const { chain, run } = waitingRun({ globalBatchSizeEnd: 4 });
  const a = chain.wallet("A");
  const stolen = run.join(a);
  const data = Buffer.from(stolen.data);
  data[8] ^= 1;
  assertError(chain.send(changed(stolen, { data })), 6008, "SignerMismatch");
  const other = new Run(chain, "other").create();
  const foreign = { 1: { pubkey: other.authorization } };
  assertError(
    chain.send(changed(run.join(a), { keys: foreign })),
    2003,
    "ConstraintRaw",
    "authorization",
  );
  const wrongOwner = { 1: { pubkey: run.instance } };
  assertError(
    chain.send(changed(run.join(a), { keys: wrongOwner })),
    3007,
    "AccountOwnedByWrongProgram",
    "authorization",
  );

  const joined = chain.run(run.join(a));
  const name = hex(a.toBytes().subarray(0, 4));
  assert.ok(joined.logs.includes(`New client ${name} joined, 1 total clients`));
  assert.ok(joined.logs.includes("Pending active clients ids: 1"));
  const again = chain.run(run.join(a, new Uint8Array(32).fill(7)));
  assert.ok(again.logs.includes(`Existing client ${name} re-joined`));
  const [client] = run.state().clientsState.clients;
  assert.deepEqual(client.id.p2pIdentity, new Uint8Array(32).fill(7));
  for (const user of ["B", "C", "D"]) chain.run(run.join(chain.wallet(user)));
  assertError(chain.send(run.join(chain.wallet("E"))), 6022, "MoreClientsThanBatches");
});

Deno.test("the 257th client is refused", () => {
  const { chain, run } = waitingRun({ globalBatchSizeEnd: 300 });
  const users = Array.from({ length: 256 }, (_, i) => chain.wallet(`user ${i}`));
  const most = Math.max(...users.map((user) => chain.run(run.join(user)).units));
  assertError(chain.send(run.join(chain.wallet("one more"))), 6003, "ClientsFull");
  assert.equal(run.state().clientsState.clients.length, 256);
  console.log(`join with 256 clients: ${most} compute units`);
});

Deno.test("pausing and resuming", () => {
  const chain = new Chain();
  const run = new Run(chain).create();
  assertError(chain.send(run.setPaused(true)), 6015, "CoordinatorErrorHalted");
  assertError(chain.send(run.setPaused(false)), 6004, "ConfigSanityCheckFailed");
  run.configure();
  assertError(chain.send(run.tick()), 6015, "CoordinatorErrorHalted");
  const resumed = chain.run(run.setPaused(false));
  assert.ok(resumed.logs.includes("set_paused called: paused=false, state=Uninitialized"));
  assert.ok(resumed.logs.includes("Post-tick run state: Waiting for members"));
  assertError(chain.send(run.setPaused(false)), 6018, "CoordinatorErrorCannotResume");
  const paused = chain.run(run.setPaused(true));
  assert.ok(!paused.logs.some((line) => line.startsWith("Pre-tick")));
  assert.equal(run.state().epochState.coldStartEpoch, true);
  // A step at the end of the run makes resuming reach Finished, whose tick refuses.
  const progress = { epoch: 0, step: 100, epochStartDataIndex: 0n };
  chain.run(instructions.updateInstruction({ ...run.asOwner(), progress }));
  assertError(chain.send(run.setPaused(false)), 6015, "CoordinatorErrorHalted");
  assert.equal(run.state().runState, RunState.Paused);
});

Deno.test("a witness is checked for sender, state, proof and repetition", () => {
  const { chain, run, users } = trainingRun({ witnessNodes: 2 });
  const stranger = chain.wallet("stranger");
  const elected = run.elected();
  const [{ user, proof }, second] = elected;
  assertError(chain.send(run.witness(stranger, proof)), 6007, "SignerNotAClient");
  const invalid = "CoordinatorErrorInvalidWitness";
  assertError(chain.send(run.witness(second.user, proof)), 6011, invalid);
  assertError(chain.send(run.witness(user, { ...proof, witness: 2 })), 6011, invalid);
  assertError(chain.send(run.witness(user, { ...proof, index: 1n << 40n })), 6011, invalid);
  assertError(
    chain.send(run.witness(user, { ...proof, position: proof.position + 1n })),
    6011,
    invalid,
  );
  const ignored = users.findIndex((u) => elected.every((e) => !e.user.equals(u)));
  const unelected = { index: BigInt(ignored), position: 2n, witness: 1 };
  assertError(chain.send(run.witness(users[ignored], unelected)), 6011, invalid);
  const good = run.witness(user, proof);
  assert.equal(good.data.length, 830);
  const nan = Uint8Array.from(good.data);
  new DataView(nan.buffer).setFloat32(8 + 17 + 416 + 12, NaN, true);
  assertError(chain.send(changed(good, { data: nan })), 102, "InstructionDidNotDeserialize");
  chain.run(good);
  assertError(chain.send(good), 6013, "CoordinatorErrorDuplicateWitness");
  assert.equal(run.state().runState, RunState.RoundTrain);
  const [stored] = currentRound(run.state()).witnesses;
  assert.deepEqual(stored.proof, proof);
  assert.deepEqual(stored.broadcastMerkle, new Uint8Array(32).fill(9));
  chain.run(run.witness(second.user, second.proof));
  assert.equal(run.state().runState, RunState.RoundWitness);
  chain.run(run.setPaused(true));
  assert.equal(run.state().pendingPause, true);
});

Deno.test("contradicting committee parameters refuse witnesses", () => {
  const { chain, run } = trainingRun({ verificationPercent: 101 });
  const proof = { index: 0n, position: 0n, witness: 1 };
  const result = chain.send(run.witness(chain.wallet("A"), proof));
  assertError(result, 6020, "CoordinatorErrorInvalidCommitteeSelection");
});

Deno.test("warmup witnesses of everybody start the first round", () => {
  const { chain, run } = waitingRun({ witnessNodes: 0 });
  const users = ["A", "B", "C"].map((name) => chain.wallet(name));
  assertError(chain.send(run.warmupWitness(users[0], 0n)), 6007, "SignerNotAClient");
  for (const user of users) chain.run(run.join(user));
  assertError(chain.send(run.warmupWitness(users[0], 0n)), 6012, "CoordinatorErrorInvalidRunState");
  chain.at(1_010n, 60n);
  chain.run(run.tick());
  assert.equal(run.warmupWitness(users[0], 0n).data.length, 441);
  chain.run(run.warmupWitness(users[0], 0n));
  assertError(
    chain.send(run.warmupWitness(users[0], 0n)),
    6013,
    "CoordinatorErrorDuplicateWitness",
  );
  chain.run(run.warmupWitness(users[1], 1n));
  const last = chain.run(run.warmupWitness(users[2], 2n));
  assert.ok(last.logs.includes("New epoch just starting, save epoch active clients"));
  assert.equal(run.state().runState, RunState.RoundTrain);
  assert.equal(currentRound(run.state()).witnesses.length, 0);
  chain.run(run.warmupWitness(users[0], 0n));
  assert.equal(currentRound(run.state()).witnesses.length, 0, "late ones are not stored");
});

Deno.test("an out of range index in a warmup witness makes the next one panic", () => {
  const { chain, run } = waitingRun();
  for (const name of ["A", "B"]) chain.run(run.join(chain.wallet(name)));
  chain.run(run.setPaused(true));
  run.configure({ witnessNodes: 2 });
  chain.run(run.setPaused(false));
  for (const name of ["A", "B"]) chain.run(run.join(chain.wallet(name)));
  chain.at(1_010n, 60n);
  chain.run(run.tick());
  chain.run(run.warmupWitness(chain.wallet("A"), 77n));
  const result = chain.send(run.warmupWitness(chain.wallet("B"), 1n));
  assert.equal(result.error, "ProgramFailedToComplete");
});

Deno.test("checkpoints are merged by kind, by epoch members only", () => {
  const { chain, run, users } = trainingRun();
  const send = (user: PublicKey, checkpoint: typeof TRACE_MODEL.checkpoint) =>
    chain.send(instructions.checkpointInstruction({ ...run.asUser(user), checkpoint }));
  const hub = { kind: "Hub", repo: { repoId: "new/repo", revision: "abc" } } as const;
  const gcs = { kind: "Gcs", repo: { bucket: "bucket", prefix: null } } as const;
  assertError(send(chain.wallet("stranger"), hub), 6007, "SignerNotAClient");
  const late = chain.wallet("late");
  chain.run(run.join(late));
  assertError(send(late, hub), 6007, "SignerNotAClient");
  assert.equal(send(users[0], gcs).error, null);
  assert.deepEqual(run.state().model.checkpoint, TRACE_MODEL.checkpoint, "ignored");
  assert.equal(send(users[0], hub).error, null);
  assert.deepEqual(run.state().model.checkpoint, hub);
  chain.run(run.setPaused(true));
  for (const time of [1_200n, 1_300n, 1_400n]) {
    chain.at(time, time);
    chain.run(run.tick());
  }
  // No witness came: everybody is withdrawn and gone when the epoch ends.
  assert.equal(run.state().runState, RunState.Paused);
  assert.equal(run.state().model.checkpoint.kind, "P2P");
  assertError(send(users[0], gcs), 6007, "SignerNotAClient");
});

Deno.test("a checkpoint of a halted run is recorded without a tick", () => {
  const { chain, run } = waitingRun();
  for (const name of ["A", "B"]) chain.run(run.join(chain.wallet(name)));
  chain.at(1_010n, 60n);
  chain.run(run.tick());
  chain.run(run.setPaused(true));
  const checkpoint = { kind: "Hub", repo: { repoId: "n/r", revision: null } } as const;
  const user = chain.wallet("A");
  const result = chain.run(instructions.checkpointInstruction({ ...run.asUser(user), checkpoint }));
  const line = "Checkpoint recorded while halted (state: Paused), skipping tick";
  assert.ok(result.logs.includes(line), result.logs.join("\n"));
  assert.deepEqual(run.state().model.checkpoint, checkpoint);
});
