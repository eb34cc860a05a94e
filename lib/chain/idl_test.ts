import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { BorshCoder } from "@coral-xyz/anchor";
import { Connection } from "@solana/web3.js";
import {
  authorizerIdl,
  authorizerProgram,
  coordinatorIdl,
  coordinatorProgram,
  treasurerIdl,
  treasurerProgram,
} from "./programs.ts";

function discriminator(namespace: string, name: string): number[] {
  return [...createHash("sha256").update(`${namespace}:${name}`).digest().subarray(0, 8)];
}

for (const idl of [authorizerIdl, coordinatorIdl, treasurerIdl]) {
  Deno.test(`${idl.metadata.name}: discriminators follow from the names`, () => {
    for (const { name, discriminator: bytes } of idl.instructions) {
      assert.deepEqual(bytes, discriminator("global", name), name);
    }
    for (const { name, discriminator: bytes } of idl.accounts!) {
      assert.deepEqual(bytes, discriminator("account", name), name);
    }
    idl.errors!.forEach((error, i) => assert.equal(error.code, 6000 + i));
  });
}

Deno.test("the discriminators are those of the specification", () => {
  const hex = (bytes: number[]) => bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const table = Object.fromEntries(
    [authorizerIdl, coordinatorIdl, treasurerIdl].flatMap(({ instructions }) => instructions)
      .map(({ name, discriminator }) => [name, hex(discriminator)]),
  );
  assert.deepEqual(table, {
    authorization_create: "149dc4b3e7df6d66",
    authorization_grantor_update: "1d7441a161bd3af9",
    authorization_grantee_update: "ba6f7fc75990c143",
    authorization_close: "81d0f820c8855717",
    init_coordinator: "14399449e8857a19",
    free_coordinator: "59d8d7e5dff24a20",
    update: "dbc858b09e3ffd7f",
    update_client_version: "c1152e3c33020dfb",
    set_future_epoch_rates: "ef15a057c7c8b681",
    join_run: "48a07d666a86f64b",
    set_paused: "5b3c7dc0b0e1a6da",
    tick: "5c4f2c0865503f0f",
    witness: "d5f495198edf1527",
    warmup_witness: "d3e87ae83f16375e",
    health_check: "735a63a88a129d83",
    checkpoint: "d5c813ccf08fb8fc",
    run_create: "c638a3f70e3aa7fd",
    run_update: "33562e740d42149d",
    participant_create: "32b18e2875b046b5",
    participant_claim: "a096e8563b6bad26",
  });
});

Deno.test("Anchor loads the IDLs", () => {
  const connection = new Connection("http://127.0.0.1:1", { httpAgent: false });
  const authorizer = authorizerProgram(connection);
  const coordinator = coordinatorProgram(connection);
  const treasurer = treasurerProgram(connection);
  assert.equal(authorizer.programId.toBase58(), authorizerIdl.address);
  assert.equal(coordinator.programId.toBase58(), coordinatorIdl.address);
  assert.equal(treasurer.programId.toBase58(), treasurerIdl.address);
  assert.equal(typeof coordinator.methods.joinRun, "function");
  assert.equal(typeof treasurer.methods.participantClaim, "function");
});

Deno.test("the IDL's image of the coordinator account has the real size and offsets", () => {
  const coder = new BorshCoder(coordinatorIdl);
  assert.equal(coder.accounts.size("CoordinatorAccount"), 119_160);
  const data = Buffer.alloc(119_160); // Anchor reads with Buffer methods
  data.set(
    coordinatorIdl.accounts!.find(({ name }) => name === "CoordinatorAccount")!
      .discriminator,
  );
  const view = new DataView(data.buffer, data.byteOffset);
  // Offsets of docs/protocol/onchain-coordinator.md section 1.2.
  view.setBigUint64(8, 1n, true);
  data[408] = 3;
  view.setUint32(1016, 77, true);
  view.setUint32(1036, 9, true);
  view.setBigUint64(57480, 5n, true);
  view.setUint32(94380, 6, true);
  view.setBigUint64(119000, 7n, true);
  view.setBigUint64(119152, 8n, true);
  const account = coder.accounts.decode("CoordinatorAccount", data);
  assert.equal(Number(account.version), 1);
  assert.equal(account.run_state, 3);
  assert.equal(account.config.total_steps, 77);
  assert.equal(account.step, 9);
  assert.equal(Number(account.rounds[3].random_seed), 5);
  assert.equal(account.start_step, 6);
  assert.equal(Number(account.joined_clients_len), 7);
  assert.equal(Number(account.nonce), 8);
});

Deno.test("types that the treasurer shares with the coordinator are the same", () => {
  const own = ["Run", "Participant"];
  for (const type of treasurerIdl.types!.filter(({ name }) => !own.includes(name))) {
    assert.deepEqual(type, coordinatorIdl.types!.find(({ name }) => name === type.name));
  }
});
