/** Anchor's IDL instructions, in all three programs. */
import assert from "node:assert/strict";
import { type PublicKey, SystemProgram } from "@solana/web3.js";
import * as idl from "../../lib/chain/idl_account.ts";
import { defaultProgramIds } from "../../lib/chain/programs.ts";
import { assertError, Chain, key, programFile } from "./harness.ts";
import { IDL_SCENES } from "./idl_scenes.ts";
import { changed, IDLS, type ProgramName } from "./scenes.ts";

function published(name: ProgramName) {
  const chain = new Chain();
  const program = defaultProgramIds()[name];
  if (name === "treasurer") chain.svm.addProgram(program.toBytes(), programFile(name));
  const owner = chain.wallet("owner");
  const address = idl.idlAddress(program);
  const packed = idl.packIdl(IDLS[name]);
  const total = idl.IDL_HEADER_BYTES + 2 * packed.length;
  chain.run(idl.createIdl(program, owner, 2 * packed.length));
  while (chain.data(address).length < total) {
    chain.run(idl.resizeIdl(program, address, owner, total));
  }
  return { chain, program, owner, address, packed, total };
}

function write(chain: Chain, program: PublicKey, target: PublicKey, packed: Uint8Array) {
  for (let at = 0; at < packed.length; at += 800) {
    const chunk = packed.subarray(at, at + 800);
    chain.run(idl.writeIdl(program, target, key("owner"), chunk));
  }
}

for (const name of Object.keys(IDLS) as ProgramName[]) {
  Deno.test(`${name}: create, resize, write, replace, hand over and close its IDL`, () => {
    const { chain, program, owner, address, packed, total } = published(name);
    const read = () => idl.decodeIdlAccount(address, chain.data(address));
    assert.equal(chain.data(address).length, total);
    assert.equal(chain.balance(address), chain.svm.minimumBalanceForRentExemption(BigInt(total)));
    assert.ok(read().authority.equals(owner));
    write(chain, program, address, packed);
    assert.deepEqual(idl.unpackIdl(read().data), IDLS[name]);

    const buffer = key("buffer");
    const other = idl.packIdl({ ...IDLS[name], docs: ["the second version"] });
    chain.put(buffer, new Uint8Array(44 + other.length), program);
    chain.run(idl.createIdlBuffer(program, buffer, owner));
    write(chain, program, buffer, other);
    const result = chain.run(idl.setIdlBuffer(program, buffer, owner));
    assert.equal(result.logs[0], "Instruction: IdlSetBuffer");
    assert.deepEqual(read().data, Uint8Array.from(other));
    const before = chain.balance(owner);
    const rent = chain.balance(buffer);
    chain.run(idl.closeIdl(program, buffer, owner));
    assert.equal(chain.balance(owner), before + rent);

    const heir = chain.wallet("heir");
    chain.run(idl.setIdlAuthority(program, address, owner, heir));
    assertError(
      chain.send(idl.closeIdl(program, address, owner)),
      2001,
      "ConstraintHasOne",
      "account",
    );
    chain.run(idl.closeIdl(program, address, heir));
    assert.equal(chain.data(address).length, 0);
    chain.run(idl.createIdl(program, heir, 10));
  });
}

Deno.test("each instruction logs its name, and needs all of its accounts", () => {
  for (const [name, make] of Object.entries(IDL_SCENES)) {
    const { chain, instruction } = make();
    for (let count = 0; count < instruction.keys.length; count++) {
      assertError(chain.send(changed(instruction, { count })), 3005, "AccountNotEnoughKeys");
    }
    assert.equal(chain.run(instruction).logs[0], `Instruction: ${name}`);
  }
});

Deno.test("creating: by the canonical base, for this program, once", () => {
  const { chain, program, owner, address } = published("authorizer");
  const create = idl.createIdl(program, owner, 100);
  assert.equal(chain.send(create).error, 0, "exists");
  chain.put(address, new Uint8Array(0), SystemProgram.programId, 0n);
  const attempt = (at: number, change: Parameters<typeof changed>[1]["keys"]) =>
    chain.send(changed(create, { keys: { [at]: change![0] } }));
  assertError(attempt(0, { 0: { isSigner: false } }), 2002, "ConstraintSigner", "from");
  assertError(attempt(1, { 0: { isWritable: false } }), 2000, "ConstraintMut", "to");
  assertError(attempt(1, { 0: { pubkey: key("elsewhere") } }), 2006, "ConstraintSeeds", "to");
  assertError(attempt(2, { 0: { pubkey: key("elsewhere") } }), 2006, "ConstraintSeeds", "base");
  assertError(attempt(3, { 0: { pubkey: key("elsewhere") } }), 3008, "InvalidProgramId");
  assertError(attempt(4, { 0: { pubkey: owner } }), 2007, "ConstraintExecutable", "program");
  const { coordinator } = chain.ids;
  assertError(attempt(4, { 0: { pubkey: coordinator } }), 1001, "IdlInstructionInvalidProgram");
  for (let count = 0; count < 5; count++) {
    assertError(chain.send(changed(create, { count })), 3005, "AccountNotEnoughKeys");
  }
  const huge = changed(create, { data: Buffer.from(create.data).fill(0xff, 9) });
  assert.equal(chain.send(huge).error, "ProgramFailedToComplete");
  chain.run(create);
  assert.equal(chain.data(address).length, 144);
});

Deno.test("only its authority changes an IDL", () => {
  const { chain, program, owner, address, total } = published("authorizer");
  const stranger = { pubkey: chain.wallet("stranger") };
  chain.put(key("buffer"), new Uint8Array(100), program);
  chain.run(idl.createIdlBuffer(program, key("buffer"), owner));
  for (
    const [instruction, at, account] of [
      [idl.writeIdl(program, address, owner, Uint8Array.of(1)), 1, "idl"],
      [idl.setIdlAuthority(program, address, owner, stranger.pubkey), 1, "idl"],
      [idl.resizeIdl(program, address, owner, total), 1, "idl"],
      [idl.closeIdl(program, address, owner), 1, "account"],
      [idl.setIdlBuffer(program, key("buffer"), owner), 2, "idl"],
    ] as const
  ) {
    const attempt = (change: object) =>
      chain.send(changed(instruction, { keys: { [at]: change } }));
    assertError(attempt(stranger), 2001, "ConstraintHasOne", account);
    assertError(attempt({ isSigner: false }), 3010, "AccountNotSigner", "authority");
    const readOnly = chain.send(
      changed(instruction, { keys: { [at - 1]: { isWritable: false } } }),
    );
    assertError(readOnly, 2000, "ConstraintMut", account);
  }
  const foreign = { ...stranger };
  chain.put(key("their buffer"), new Uint8Array(100), program);
  chain.run(idl.createIdlBuffer(program, key("their buffer"), foreign.pubkey));
  const set = idl.setIdlBuffer(program, key("their buffer"), owner);
  assertError(chain.send(set), 2003, "ConstraintRaw", "buffer");
});

Deno.test("sizes: nothing is written beyond an account, and only an empty one grows", () => {
  const { chain, program, owner, address, total } = published("authorizer");
  const room = total - 44;
  chain.run(idl.writeIdl(program, address, owner, Uint8Array.of(1, 2, 3)));
  assertError(
    chain.send(idl.resizeIdl(program, address, owner, 2 * total)),
    1002,
    "IdlAccountNotEmpty",
  );
  const buffer = key("large buffer");
  chain.put(buffer, new Uint8Array(44 + room + 1), program);
  chain.run(idl.createIdlBuffer(program, buffer, owner));
  write(chain, program, buffer, new Uint8Array(room + 1).fill(7));
  const full = idl.writeIdl(program, buffer, owner, Uint8Array.of(1));
  assert.equal(chain.send(full).error, "ProgramFailedToComplete");
  assertError(chain.send(idl.setIdlBuffer(program, buffer, owner)), 2507, "RequireGteViolated");
  const self = changed(idl.setIdlBuffer(program, address, owner), {});
  assert.equal(chain.send(self).error, "ProgramFailedToComplete");
  chain.run(idl.closeIdl(program, address, owner), idl.createIdl(program, owner, 100));
  const smaller = idl.resizeIdl(program, address, owner, 50);
  assert.equal(chain.send(smaller).error, "ProgramFailedToComplete");
  // Lamports that somebody sends there do not keep it from growing.
  chain.put(address, chain.data(address), program, 5_000_000_000n);
  chain.run(idl.resizeIdl(program, address, owner, 200));
  assert.equal(chain.data(address).length, 200);
});

Deno.test("buffers are fresh accounts of the program; an account is not closed into itself", () => {
  const { chain, program, owner, address } = published("authorizer");
  const create = (buffer: PublicKey) => chain.send(idl.createIdlBuffer(program, buffer, owner));
  assertError(create(address), 2013, "ConstraintZero", "buffer");
  chain.put(key("a"), new Uint8Array(43), program);
  assertError(create(key("a")), 3003, "AccountDidNotDeserialize", "buffer");
  chain.put(key("b"), new Uint8Array(7), program);
  assertError(create(key("b")), 3001, "AccountDiscriminatorNotFound", "buffer");
  chain.put(key("c"), new Uint8Array(50), key("another program"));
  assertError(create(key("c")), 3007, "AccountOwnedByWrongProgram", "buffer");
  chain.put(key("d"), new Uint8Array(50), program, 1000n);
  assertError(create(key("d")), 2005, "ConstraintRentExempt", "buffer");
  const close = idl.closeIdl(program, address, owner, address);
  assertError(chain.send(close), 2011, "ConstraintClose", "account");
});

Deno.test("unknown numbers and cut off arguments do not decode", () => {
  const { chain, program, owner, address } = published("authorizer");
  const instruction = idl.writeIdl(program, address, owner, Uint8Array.of(1, 2, 3));
  const attempt = (data: Uint8Array) => chain.send(changed(instruction, { data }));
  const unknown = Buffer.from(instruction.data);
  unknown[8] = 7;
  const decode = "InstructionDidNotDeserialize";
  assertError(attempt(unknown), 102, decode);
  for (const length of [8, 9, 12, 15]) {
    assertError(attempt(instruction.data.subarray(0, length)), 102, decode);
  }
});
