/** docs/protocol/onchain-treasurer.md sections 1 to 4.3, against the built programs. */
import assert from "node:assert/strict";
import { ASSOCIATED_TOKEN_PROGRAM_ID, TOKEN_PROGRAM_ID } from "@solana/spl-token";
import { PublicKey, SystemProgram } from "@solana/web3.js";
import { participantAddress } from "../../lib/chain/pda.ts";
import { bindProgramIds } from "../../lib/chain/program_ids_table.ts";
import { treasurerId } from "../../lib/chain/programs.ts";
import { runCreateInstructions } from "../../lib/chain/treasurer.ts";
import { decodeCoordinatorInstance } from "../../lib/protocol/coordinator_account.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { assertError, type Chain, key, programFile, Run, TRACE_CONFIG } from "./harness.ts";
import { assertPrecedence, type Fault, wrong } from "./precedence.ts";
import { chainWithTreasurer, Collateral, RewardedRun } from "./rewarded_run.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function rewardedRun(): { chain: Chain; collateral: Collateral; run: RewardedRun } {
  const chain = chainWithTreasurer();
  const collateral = new Collateral(chain);
  return { chain, collateral, run: new RewardedRun(chain, collateral).create("v1") };
}

/** Another discriminator, and arguments that end too early. */
function badData(length: number): Fault[] {
  return [
    { apply: ({ data }) => data[0] ^= 1, error: 101, name: "InstructionFallbackNotFound" },
    {
      apply: (instruction) => instruction.data = instruction.data.subarray(0, length),
      error: 102,
      name: "InstructionDidNotDeserialize",
    },
  ];
}

/**
 * Accounts that are not the borsh account that stands at `position`, in the order of the checks.
 * `length`: bytes of the shortest content that decodes.
 */
function badAccounts(
  chain: Chain,
  position: number,
  [account, owner, discriminator, length]: [string, PublicKey, string, number],
): Fault[] {
  const cutOff = new Uint8Array(length - 1);
  cutOff.set(Buffer.from(discriminator, "hex"));
  const put = (name: string, data: Uint8Array, of = owner) => {
    const address = key(`${account} ${name}`);
    chain.put(address, data, of);
    return address;
  };
  return [
    wrong(position, key("nobody"), [3012, "AccountNotInitialized", account]),
    wrong(position, put("of another program", new Uint8Array(300), key("another program")), [
      3007,
      "AccountOwnedByWrongProgram",
      account,
    ]),
    wrong(position, put("short", new Uint8Array(7)), [
      3001,
      "AccountDiscriminatorNotFound",
      account,
    ]),
    wrong(position, put("of another type", new Uint8Array(300)), [
      3002,
      "AccountDiscriminatorMismatch",
      account,
    ]),
    wrong(position, put("cut off", cutOff), [
      3003,
      "AccountDidNotDeserialize",
      account,
    ]),
  ];
}

Deno.test("runs and participants are at the addresses of the vectors, with their bumps", () => {
  const user = new PublicKey(new Uint8Array(32).fill(2));
  for (
    const [index, address, bump, participant] of [
      [
        0n,
        "5T7qGzQeVWZX21h3M3ogZXM4vaVaYQKC2jLG93PXA3DD",
        255,
        "F1PTihhAwKJSEjoPB9dF6gNW2VLVgrUkq9iuMnM7ysZC",
      ],
      [
        42n,
        "W18VYADXf32E6gaHFfdsfj5zmuBCNEvpfC7VCBompGa",
        255,
        "At3BstShVSWbbtu4qPhfE5Nu7eoGGcB7aGyhpAkjp5te",
      ],
      [
        undefined,
        "tG3nRngwkJC3JAL9Aq9AMhFtTzr56hr9ZmaSRpD8dT8",
        252,
        "GQqc74x4q3iuLJMcfkL4GDzD6anzxdwP5XvBtyacVCkZ",
      ],
    ] as const
  ) {
    const chain = chainWithTreasurer();
    const run = new RewardedRun(chain, new Collateral(chain), "test", index).create();
    assert.equal(chain.data(new PublicKey(address))[8], bump);
    chain.run(run.createParticipant(user, run.owner));
    assert.equal(chain.data(new PublicKey(participant))[8], 255);
  }
});

Deno.test("run_create writes the run byte for byte, an empty vault and the coordinator's accounts", () => {
  const chain = chainWithTreasurer();
  const collateral = new Collateral(chain);
  const run = new RewardedRun(chain, collateral);
  const [operator, joinAuthority] = [key("operator"), key("join authority")];
  chain.run(...runCreateInstructions({
    ...run.asTreasurer(),
    payer: run.owner,
    collateralMint: collateral.mint,
    clientVersion: "v1",
    mainAuthority: operator,
    joinAuthority,
    rentLamports: 830_244_480,
  }));
  const data = chain.data(run.treasurerRun);
  assert.equal(data.length, 200);
  const keys = [operator, joinAuthority, run.account, run.instance, collateral.mint];
  assert.equal(
    hex(data),
    "c7369b56eb73f6bd" + "fc" + hex(indexBytes(run.index)) +
      keys.map((k) => hex(k.toBytes())).join("") + "00".repeat(23),
  );
  assert.equal(chain.balance(run.treasurerRun), 2_282_880n);
  assert.equal(collateral.balance(run.treasurerRun), 0n);
  const vault = chain.data(run.readTreasurer().collateralAccount);
  assert.equal(
    hex(vault.subarray(0, 64)),
    hex(collateral.mint.toBytes()) + hex(run.treasurerRun.toBytes()),
  );

  const instance = decodeCoordinatorInstance(chain.data(run.instance));
  assert.ok(run.treasurerRun.equals(new PublicKey(instance.mainAuthority)), "main authority");
  assert.ok(joinAuthority.equals(new PublicKey(instance.joinAuthority)), "join authority");
  const state = run.state();
  assert.deepEqual([state.runId, state.clientVersion, state.runState], ["test", "v1", 0]);
});

function indexBytes(index: bigint): Uint8Array {
  return new Uint8Array(new BigUint64Array([index]).buffer);
}

Deno.test("run_create refuses in the order of the framework", () => {
  const chain = chainWithTreasurer();
  const run = new RewardedRun(chain, new Collateral(chain));
  const coordinator = run.ids.coordinator;
  chain.put(run.account, new Uint8Array(119_160), coordinator);
  const put = (name: string, data: Uint8Array, owner: PublicKey) => {
    chain.put(key(name), data, owner);
    return key(name);
  };
  const longId = Buffer.concat([Buffer.from([33, 0, 0, 0]), Buffer.alloc(33, "a")]);
  const make = () => run.createInstructions().slice(1);
  assertPrecedence(chain, make, [
    ...badData(60),
    wrong(0, { isSigner: false }, [3010, "AccountNotSigner", "payer"]),
    wrong(3, key("nobody"), [3012, "AccountNotInitialized", "collateral_mint"]),
    wrong(3, put("foreign mint", new Uint8Array(82), key("program")), [
      3007,
      "AccountOwnedByWrongProgram",
      "collateral_mint",
    ]),
    wrong(3, put("long mint", new Uint8Array(83), TOKEN_PROGRAM_ID), ["InvalidAccountData"]),
    wrong(3, put("fresh mint", new Uint8Array(82), TOKEN_PROGRAM_ID), ["UninitializedAccount"]),
    wrong(6, run.ids.authorizer, [3008, "InvalidProgramId", "coordinator_program"]),
    wrong(7, TOKEN_PROGRAM_ID, [3008, "InvalidProgramId", "associated_token_program"]),
    wrong(8, ASSOCIATED_TOKEN_PROGRAM_ID, [3008, "InvalidProgramId", "token_program"]),
    wrong(9, TOKEN_PROGRAM_ID, [3008, "InvalidProgramId", "system_program"]),
    wrong(1, key("another run"), [2006, "ConstraintSeeds", "run"]),
    wrong(0, { isWritable: false }, ["PrivilegeEscalation"]),
    wrong(2, key("another vault"), ["InvalidSeeds"]),
    wrong(4, { isWritable: false }, [2000, "ConstraintMut", "coordinator_instance"]),
    wrong(5, { isWritable: false }, [2000, "ConstraintMut", "coordinator_account"]),
    {
      apply: (instruction) => {
        const { data } = instruction;
        instruction.data = Buffer.concat([data.subarray(0, 16), longId, data.subarray(24)]);
      },
      error: 6001,
      name: "RunIdInvalidLength",
    },
    wrong(4, key("another instance"), [2006, "ConstraintSeeds", "coordinator_instance"]),
    wrong(5, key("nobody"), [2004, "ConstraintOwner", "coordinator_account"]),
    wrong(5, put("short account", new Uint8Array(100), coordinator), [
      6002,
      "CoordinatorAccountIncorrectSize",
    ]),
    wrong(5, put("used account", new Uint8Array(119_160).fill(1), coordinator), [
      3000,
      "AccountDiscriminatorAlreadySet",
    ]),
  ]);
});

Deno.test("an index, a run id and a coordinator account serve one run", () => {
  const { chain, collateral, run } = rewardedRun();
  const create = (runId: string, index: bigint, account?: PublicKey) => {
    const other = new RewardedRun(chain, collateral, runId, index);
    const [createAccount, runCreate] = other.createInstructions();
    if (!account) return chain.send(createAccount, runCreate);
    runCreate.keys[5].pubkey = account;
    return chain.send(runCreate);
  };
  assert.equal(create("other", run.index).error, 0);
  // The account of the same name exists, so another one is given.
  chain.put(key("fresh"), new Uint8Array(119_160), run.ids.coordinator);
  assert.equal(create("test", 7n, key("fresh")).error, 0);
  assertError(create("other", 8n, run.account), 3000, "AccountDiscriminatorAlreadySet");
  // A vault that somebody made before.
  const early = new RewardedRun(chain, collateral, "early", 9n);
  collateral.accountOf(early.treasurerRun);
  assert.equal(create("early", 9n).error, "IllegalOwner");
  // Lamports that somebody sent before do no harm.
  const funded = new RewardedRun(chain, collateral, "funded", 10n);
  chain.put(funded.treasurerRun, new Uint8Array(0), SystemProgram.programId, 5_000n);
  assert.equal(create("funded", 10n).error, null);
  assert.equal(chain.balance(funded.treasurerRun), 2_282_880n);
  // A plain run with the same id as one with a treasurer cannot be.
  const plain = new Run(chain, "other");
  plain.create();
  assert.equal(create("other", 11n, key("fresh")).error, 0);
});

Deno.test("run_update passes everything on, in its order", () => {
  const { chain, run } = rewardedRun();
  const metadata = { name: "n", description: "d", numParameters: 1n, vocabSize: 2n };
  const { nonce } = run.state();
  const before = hex(chain.data(run.treasurerRun));
  run.configure({ totalSteps: 77 });
  const result = chain.run(run.update({
    metadata,
    progress: { epoch: 3, step: 4, epochStartDataIndex: 5n },
    earningRateTotalShared: 6n,
    slashingRatePerClient: 7n,
    clientVersion: "v2",
  }));
  assert.deepEqual(result.logs.filter((line) => /^Instruction|version/.test(line)), [
    "Instruction: RunUpdate",
    "Instruction: Update",
    "Instruction: SetFutureEpochRates",
    "Instruction: UpdateClientVersion",
    "new version: v2",
  ]);
  const state = run.state();
  assert.deepEqual(state.metadata, metadata);
  assert.deepEqual(state.config, { ...TRACE_CONFIG, totalSteps: 77 });
  assert.deepEqual(state.progress, { epoch: 3, step: 4, epochStartDataIndex: 5n });
  assert.equal(state.clientVersion, "v2");
  assert.deepEqual(state.clientsState.futureEpochRates, {
    earningRateTotalShared: 6n,
    slashingRatePerClient: 7n,
  });
  assert.equal(state.nonce, nonce + 3n, "configure, update, rates; the version has none");

  // An absent rate stays; nothing at all is nothing.
  chain.run(run.update({ slashingRatePerClient: 8n }));
  const { futureEpochRates } = run.state().clientsState;
  assert.deepEqual(futureEpochRates, { earningRateTotalShared: 6n, slashingRatePerClient: 8n });
  assert.deepEqual(chain.run(run.update({})).logs, ["Instruction: RunUpdate"]);

  chain.run(run.setPaused(false));
  assert.equal(run.state().runState, RunState.WaitingForMembers);
  chain.run(run.setPaused(true));
  assert.equal(run.state().runState, RunState.Paused);
  assert.equal(hex(chain.data(run.treasurerRun)), before, "the Run account is not changed");
});

Deno.test("the coordinator's own rules hold in run_update", () => {
  const { chain, run } = rewardedRun();
  assertError(chain.send(run.setPaused(false)), 6004, "ConfigSanityCheckFailed");
  run.configure();
  const invalid = { ...TRACE_CONFIG, minClients: 0 };
  assertError(chain.send(run.update({ config: invalid })), 6004, "ConfigSanityCheckFailed");
  // Resumed in step 3, so not halted in step 4; nothing of it is kept.
  const both = chain.send(run.update({ paused: false, clientVersion: "v3" }));
  assertError(both, 6001, "UpdateConfigNotHalted");
  assert.equal(run.state().runState, RunState.Uninitialized);
  chain.run(run.setPaused(false));
  assertError(chain.send(run.update({ clientVersion: "v3" })), 6001, "UpdateConfigNotHalted");
  chain.run(run.update({ paused: true }));
  chain.run(run.update({ clientVersion: "v3" }));
  assert.equal(run.state().clientVersion, "v3");
  // Paused at once: the order is update, rates, pause, version.
  chain.run(run.setPaused(false));
  const all = run.update({ paused: true, clientVersion: "v4", earningRateTotalShared: 1n });
  assert.deepEqual(chain.run(all).logs.filter((line) => line.startsWith("Instruction")), [
    "Instruction: RunUpdate",
    "Instruction: SetFutureEpochRates",
    "Instruction: SetPaused",
    "Instruction: UpdateClientVersion",
  ]);
  assert.equal(run.state().clientVersion, "v4");

  const owner = run.asOwner();
  const direct = new Run(chain).setPaused(false);
  assert.ok(direct.keys[0].pubkey.equals(owner.authority));
  assertError(chain.send(direct), 2003, "ConstraintRaw", "coordinator_instance");
});

Deno.test("run_update refuses in the order of the framework", () => {
  const { chain, collateral, run } = rewardedRun();
  const { coordinator } = run.ids;
  const other = new RewardedRun(chain, collateral, "other").create();
  const account = badAccounts(chain, 3, [
    "coordinator_account",
    coordinator,
    "ef21b1372c9b562b",
    119_160,
  ]);
  const make = () => [run.update({ config: TRACE_CONFIG })];
  assertPrecedence(chain, make, [
    ...badData(8 + 70),
    wrong(0, { isSigner: false }, [3010, "AccountNotSigner", "authority"]),
    ...badAccounts(chain, 1, ["run", treasurerId(run.ids), "c7369b56eb73f6bd", 193]),
    ...badAccounts(chain, 2, ["coordinator_instance", coordinator, "9c099910af181ffc", 109]),
    // Not borsh: there is neither a check for absence nor one of the content.
    ...account.slice(1, 4),
    wrong(4, run.ids.authorizer, [3008, "InvalidProgramId", "coordinator_program"]),
    wrong(0, chain.wallet("stranger"), [2003, "ConstraintRaw", "run"]),
    wrong(2, other.instance, [2003, "ConstraintRaw", "run"]),
    wrong(3, other.account, [2003, "ConstraintRaw", "run"]),
    wrong(3, { isWritable: false }, [2000, "ConstraintMut", "coordinator_account"]),
    { apply: ({ data }) => data.fill(0, 20, 70), error: 6004, name: "ConfigSanityCheckFailed" },
  ]);
});

Deno.test("participant_create: all zero but the bump, for anybody, once", () => {
  const { chain, run } = rewardedRun();
  const [user, payer] = [chain.wallet("user"), chain.wallet("payer")];
  const address = participantAddress(run.ids, run.treasurerRun, user);
  const before = chain.balance(payer);
  chain.run(run.createParticipant(user, payer));
  const data = chain.data(address);
  assert.equal(hex(data.subarray(0, 8)), "208e6c4ff7b33606");
  assert.deepEqual([data.length, hex(data.subarray(9))], [32, "00".repeat(23)]);
  assert.equal(chain.balance(address), 1_113_600n);
  assert.equal(before - chain.balance(payer), 1_113_600n);
  assert.equal(chain.send(run.createParticipant(user, payer)).error, 0, "exists already");

  const other = chain.wallet("other user");
  assertPrecedence(chain, () => [run.createParticipant(other, payer)], [
    badData(8)[0],
    wrong(0, { isSigner: false }, [3010, "AccountNotSigner", "payer"]),
    wrong(1, { isSigner: false }, [3010, "AccountNotSigner", "user"]),
    ...badAccounts(chain, 2, ["run", treasurerId(run.ids), "c7369b56eb73f6bd", 193]),
    wrong(4, TOKEN_PROGRAM_ID, [3008, "InvalidProgramId", "system_program"]),
    wrong(3, address, [2006, "ConstraintSeeds", "participant"]),
    wrong(0, { isWritable: false }, ["PrivilegeEscalation"]),
  ]);
});

Deno.test("too few accounts are an error, surplus ones are not", () => {
  const { chain, run } = rewardedRun();
  const create = run.createParticipant(chain.wallet("user"));
  const system = create.keys.pop()!;
  assertError(chain.send(create), 3005, "AccountNotEnoughKeys", "system_program");
  create.keys.push(system, ...create.keys, ...create.keys, ...create.keys);
  chain.run(create);
});

Deno.test("a build is bound to its own address and to its coordinator's by its table", () => {
  const file = Buffer.from(programFile("treasurer"));
  const chain = chainWithTreasurer();
  const collateral = new Collateral(chain);
  const { coordinator } = chain.ids;
  const at = file.indexOf("PSYCHE-PROG-IDS\0") + 16;
  const [own, other] = [treasurerId(chain.ids), coordinator].map((id) => hex(id.toBytes()));
  assert.equal(file.subarray(at, at + 64).toString("hex"), own + other);
  for (const id of [own, other]) {
    assert.equal(file.toString("hex").split(id.slice(0, 8)).length, 2, "an id beside the table");
  }
  const elsewhere = key("another treasurer");
  chain.svm.addProgram(elsewhere.toBytes(), file);
  chain.ids.treasurer = elsewhere;
  const moved = new RewardedRun(chain, collateral);
  assertError(chain.send(...moved.createInstructions()), 4100, "DeclaredProgramIdMismatch");
  const bound = bindProgramIds(file, [elsewhere, key("another coordinator")]);
  chain.svm.addProgram(elsewhere.toBytes(), bound);
  assertError(
    chain.send(...moved.createInstructions()),
    3008,
    "InvalidProgramId",
    "coordinator_program",
  );
  chain.put(key("another coordinator"), new Uint8Array(8), coordinator);
  const [createAccount, create] = moved.createInstructions();
  create.keys[6].pubkey = key("another coordinator");
  assertError(
    chain.send(createAccount, create),
    3009,
    "InvalidProgramExecutable",
    "coordinator_program",
  );
  chain.svm.addProgram(elsewhere.toBytes(), bindProgramIds(file, [elsewhere, coordinator]));
  moved.create();
});
