import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { PublicKey, SystemProgram, type TransactionInstruction } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import { EXAMPLE_CONFIG } from "../protocol/config_fixture.ts";
import { parseRunConfig } from "../protocol/run_config.ts";
import * as coordinator from "./coordinator_instructions.ts";
import { coordinatorInstanceAddress } from "./pda.ts";
import { coordinatorIdl, defaultProgramIds } from "./programs.ts";

const key = (byte: number) => new PublicKey(new Uint8Array(32).fill(byte));
const hex = (instruction: TransactionInstruction) => instruction.data.toString("hex");
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const x = (byte: string) => byte.repeat(32);

const run = { runId: "test", coordinatorAccount: key(9) };
const owner = { ...run, authority: key(1) };
const user = { ...run, user: key(1) };
const emptyBloom = { keys: new BigUint64Array(8), words: new BigUint64Array(16) };

const { config, model } = parseRunConfig(EXAMPLE_CONFIG, "example.toml");

Deno.test("update of the example: 375 bytes with the specified hashes", () => {
  const data = coordinator.updateInstruction({ ...owner, config, model }).data;
  assert.equal(data.length, 375);
  assert.equal(
    sha256(data.subarray(11 + 64, 11 + 64 + 299)),
    "9bf7cc414574ab72e34124d6ff20104ce02380d78e24ac352117f7d41f710982",
  );
  assert.equal(sha256(data), "ab2e6b802832361b1d09a80f9b4ce51f5fca411a8beb823847514286c3f2754c");
});

Deno.test("the other instruction data of the specification", () => {
  const [create, init] = coordinator.initCoordinatorInstructions({
    payer: key(5),
    coordinatorAccount: key(9),
    runId: "test",
    clientVersion: "v1",
    mainAuthority: key(1),
    joinAuthority: key(2),
    rentLamports: 830_244_480,
  });
  assert.equal(hex(init), `14399449e8857a19${x("01")}${x("02")}0400000074657374020000007631`);
  assert.ok(create.programId.equals(SystemProgram.programId));
  const join = { ...user, authorization: key(7), p2pIdentity: key(2).toBytes() };
  assert.equal(
    hex(coordinator.joinRunInstruction(join)),
    `48a07d666a86f64b${x("01")}${x("02")}`,
  );
  assert.equal(
    hex(coordinator.setPausedInstruction({ ...owner, paused: false })),
    "5b3c7dc0b0e1a6da00",
  );
  assert.equal(
    hex(
      coordinator.setFutureEpochRatesInstruction({ ...owner, earningRateTotalShared: 1_000_000n }),
    ),
    "ef15a057c7c8b6810140420f000000000000",
  );
});

Deno.test("sizes of the witness instructions, and NaN replaced", () => {
  const witness = {
    ...user,
    proof: { position: 1n, index: 2n, witness: 1 },
    participantBloom: emptyBloom,
    broadcastBloom: emptyBloom,
    broadcastMerkle: new Uint8Array(32),
  };
  assert.equal(coordinator.warmupWitnessInstruction(witness).data.length, 441);
  const data = coordinator.witnessInstruction({
    ...witness,
    metadata: {
      step: 3,
      tokensPerSecond: NaN,
      bandwidthPerSecond: 2,
      loss: NaN,
      evals: [{ name: "arc", value: 0.5 }],
      promptResults: [7],
      promptIndex: 1,
      efficiency: 1,
    },
  }).data;
  assert.equal(data.length, 830);
  const view = new DataView(data.buffer, data.byteOffset + 441);
  assert.equal(view.getUint32(0, true), 3);
  assert.equal(view.getFloat32(4, true), 0);
  assert.equal(view.getFloat32(8, true), 2);
  assert.equal(view.getFloat32(12, true), Infinity);
  assert.equal(view.getFloat32(16 + 32, true), 0.5);
});

Deno.test("health check and checkpoint", () => {
  const target = { signer: key(3).toBytes(), p2pIdentity: key(4).toBytes() };
  const check = { ...user, target, committee: 2 as const, position: 5n, index: 6n };
  assert.equal(
    hex(coordinator.healthCheckInstruction(check)),
    `735a63a88a129d83${x("03")}${x("04")}0205000000000000000600000000000000`,
  );
  const text = (value: string) => value + "0".repeat(128 - value.length);
  assert.equal(
    hex(coordinator.checkpointInstruction({
      ...user,
      checkpoint: { kind: "Gcs", repo: { bucket: "b", prefix: null } },
    })),
    `d5c813ccf08fb8fc04${text("62")}00`,
  );
  assert.equal(
    hex(coordinator.checkpointInstruction({
      ...user,
      checkpoint: { kind: "P2P", repo: { repoId: "r", revision: "v" } },
    })),
    `d5c813ccf08fb8fc03${text("72")}01${text("76")}`,
  );
});

Deno.test("accounts come in the order and with the flags of the IDL", () => {
  const ids = defaultProgramIds();
  const instance = coordinatorInstanceAddress(ids, "test");
  const tick = coordinator.tickInstruction(user);
  assert.ok(tick.programId.equals(ids.coordinator));
  assert.deepEqual(tick.keys, [
    { pubkey: key(1), isSigner: true, isWritable: false },
    { pubkey: instance, isSigner: false, isWritable: false },
    { pubkey: key(9), isSigner: false, isWritable: true },
  ]);
  const free = coordinator.freeCoordinatorInstruction(owner);
  assert.deepEqual(free.keys, [
    { pubkey: key(1), isSigner: true, isWritable: false },
    { pubkey: key(1), isSigner: false, isWritable: true },
    { pubkey: instance, isSigner: false, isWritable: true },
    { pubkey: key(9), isSigner: false, isWritable: true },
  ]);
  for (const { name, accounts } of coordinatorIdl.instructions) {
    assert.ok(accounts.length >= 3, name);
  }
});

Deno.test("values that do not fit are refused, never cut", () => {
  const refuses = (code: string, build: () => unknown) =>
    assert.throws(build, (error: unknown) => error instanceof PsycheError && error.code === code);
  refuses("TEXT_TOO_LONG", () =>
    coordinator.updateClientVersionInstruction({
      ...owner,
      clientVersion: "v".repeat(97),
    }));
  refuses("NUMBER_OUT_OF_RANGE", () =>
    coordinator.updateInstruction({
      ...owner,
      config: { ...config, minClients: 65_536 },
    }));
  refuses("NUMBER_OUT_OF_RANGE", () =>
    coordinator.setFutureEpochRatesInstruction({
      ...owner,
      earningRateTotalShared: -1n,
    }));
  refuses("NUMBER_INVALID", () =>
    coordinator.updateInstruction({
      ...owner,
      model: { ...model, lrSchedule: { ...model.lrSchedule, baseLr: NaN } },
    }));
  refuses("BYTES_LENGTH_WRONG", () =>
    coordinator.joinRunInstruction({
      ...user,
      authorization: key(7),
      p2pIdentity: new Uint8Array(31),
    }));
});
