/** Programs brought to the localnet by real loader transactions, and by flags. */
import assert from "node:assert/strict";
import {
  type Connection,
  Keypair,
  PublicKey,
  sendAndConfirmTransaction,
  SystemProgram,
  SYSVAR_CLOCK_PUBKEY,
  SYSVAR_RENT_PUBKEY,
  Transaction,
  TransactionInstruction,
} from "@solana/web3.js";
import { withLocalnet } from "./localnet_client.ts";

const LOADER = new PublicKey("BPFLoaderUpgradeab1e11111111111111111111111");
const PLACEHOLDER = new URL("../../programs/placeholder.so", import.meta.url).pathname;
const CHUNK = 900;

/** One instruction of the upgradeable loader; "w" and "s" mark writable keys and signers. */
function loader(
  tag: number,
  body: Uint8Array,
  keys: [PublicKey, string][],
): TransactionInstruction {
  return new TransactionInstruction({
    programId: LOADER,
    data: Buffer.from([tag, 0, 0, 0, ...body]),
    keys: keys.map(([pubkey, marks]) => ({
      pubkey,
      isWritable: marks.includes("w"),
      isSigner: marks.includes("s"),
    })),
  });
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

function programData(program: PublicKey): PublicKey {
  return PublicKey.findProgramAddressSync([program.toBytes()], LOADER)[0];
}

/** Creates and fills a buffer account; returns its key. */
async function writeBuffer(connection: Connection, payer: Keypair, elf: Uint8Array) {
  const buffer = Keypair.generate();
  const space = 37 + elf.length;
  const create = SystemProgram.createAccount({
    fromPubkey: payer.publicKey,
    newAccountPubkey: buffer.publicKey,
    lamports: await connection.getMinimumBalanceForRentExemption(space),
    space,
    programId: LOADER,
  });
  const initialize = loader(0, new Uint8Array(), [[buffer.publicKey, "w"], [payer.publicKey, ""]]);
  await send(connection, [create, initialize], payer, buffer);
  for (let at = 0; at < elf.length; at += CHUNK) {
    const chunk = elf.subarray(at, at + CHUNK);
    const head = new Uint8Array(12);
    new DataView(head.buffer).setUint32(0, at, true);
    head.set(u64(chunk.length), 4);
    const write = loader(1, new Uint8Array([...head, ...chunk]), [
      [buffer.publicKey, "w"],
      [payer.publicKey, "s"],
    ]);
    await send(connection, [write], payer);
  }
  return buffer.publicKey;
}

function send(
  connection: Connection,
  instructions: TransactionInstruction[],
  ...signers: Keypair[]
): Promise<string> {
  return sendAndConfirmTransaction(connection, new Transaction().add(...instructions), signers);
}

async function upgrade(
  connection: Connection,
  payer: Keypair,
  program: PublicKey,
  buffer: PublicKey,
): Promise<void> {
  const instruction = loader(3, new Uint8Array(), [
    [programData(program), "w"],
    [program, "w"],
    [buffer, "w"],
    [payer.publicKey, "w"],
    [SYSVAR_RENT_PUBKEY, ""],
    [SYSVAR_CLOCK_PUBKEY, ""],
    [payer.publicKey, "s"],
  ]);
  await send(connection, [instruction], payer);
}

/** How an instruction without accounts and data ends: "ok" or the error's JSON. */
async function invoke(connection: Connection, payer: Keypair, programId: PublicKey) {
  const transaction = new Transaction().add(
    new TransactionInstruction({ programId, keys: [], data: Buffer.alloc(0) }),
  );
  const signature = await connection.sendTransaction(transaction, [payer], { skipPreflight: true });
  const { value: [status] } = await connection.getSignatureStatuses([signature]);
  if (!status) return "refused";
  return status.err === null ? "ok" : JSON.stringify(status.err);
}

/** A program that returns 7, which is custom error 7: mov64 r0, 7; exit. As an SBPF version 0 ELF. */
function minimalElf(result: number): Uint8Array {
  const code = Uint8Array.of(0xb7, 0, 0, 0, result, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);
  const names = new TextEncoder().encode("\0.text\0.shstrtab\0");
  const [textAt, namesAt] = [64 + 56, 64 + 56 + code.length];
  const sectionsAt = (namesAt + names.length + 7) & ~7;
  const bytes = new Uint8Array(sectionsAt + 3 * 64);
  const view = new DataView(bytes.buffer);
  const long = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 3, true); // shared object
  view.setUint16(18, 247, true); // BPF
  view.setUint32(20, 1, true);
  long(24, textAt); // entry
  long(32, 64); // program headers
  long(40, sectionsAt);
  [64, 56, 1, 64, 3, 2].forEach((it, i) => view.setUint16(52 + 2 * i, it, true));
  view.setUint32(64, 1, true); // PT_LOAD
  view.setUint32(68, 5, true); // read, execute
  [textAt, textAt, textAt, code.length, code.length, 4096].forEach((it, i) => long(72 + 8 * i, it));
  bytes.set(code, textAt);
  bytes.set(names, namesAt);
  const section = (
    index: number,
    name: number,
    type: number,
    flags: number,
    at: number[],
  ): void => {
    const base = sectionsAt + 64 * index;
    view.setUint32(base, name, true);
    view.setUint32(base + 4, type, true);
    long(base + 8, flags);
    at.forEach((it, i) => long(base + 16 + 8 * i, it));
    long(base + 48, 1);
  };
  section(1, 1, 1, 6, [textAt, textAt, code.length]); // .text: allocated, executable
  section(2, 7, 3, 0, [0, namesAt, names.length]); // .shstrtab
  return bytes;
}

// web3.js keeps its HTTP agent's sockets open: nothing of the localnet's.
const test = { sanitizeResources: false, sanitizeOps: false };

Deno.test("deploy, upgrade and close by loader transactions", test, async () => {
  await withLocalnet({}, async ({ connection, wallet }) => {
    const payer = await wallet();
    const program = Keypair.generate();
    const elf = minimalElf(7);
    const buffer = await writeBuffer(connection, payer, elf);
    const rent = await connection.getMinimumBalanceForRentExemption(36);
    await send(
      connection,
      [
        SystemProgram.createAccount({
          fromPubkey: payer.publicKey,
          newAccountPubkey: program.publicKey,
          lamports: rent,
          space: 36,
          programId: LOADER,
        }),
        loader(2, u64(2 * elf.length), [
          [payer.publicKey, "ws"],
          [programData(program.publicKey), "w"],
          [program.publicKey, "w"],
          [buffer, "w"],
          [SYSVAR_RENT_PUBKEY, ""],
          [SYSVAR_CLOCK_PUBKEY, ""],
          [SystemProgram.programId, ""],
          [payer.publicKey, "s"],
        ]),
      ],
      payer,
      program,
    );
    const failing = (code: number): string => `{"InstructionError":[0,{"Custom":${code}}]}`;
    assert.equal(await invoke(connection, payer, program.publicKey), failing(7));

    const next = await writeBuffer(connection, payer, minimalElf(0));
    await upgrade(connection, payer, program.publicKey, next);
    assert.equal(await invoke(connection, payer, program.publicKey), "ok");

    const close = loader(5, new Uint8Array(), [
      [programData(program.publicKey), "w"],
      [payer.publicKey, "w"],
      [payer.publicKey, "s"],
      [program.publicKey, "w"],
    ]);
    await send(connection, [close], payer);
    assert.notEqual(await invoke(connection, payer, program.publicKey), "ok");
  });
});

Deno.test("programs given by flags, and a reserved one upgraded", test, async () => {
  const authority = Keypair.generate();
  const [reserved, fixed, upgradeable] = [1, 2, 3].map(() => Keypair.generate().publicKey);
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/program, with comma.so`;
    await Deno.writeFile(path, minimalElf(0));
    await withLocalnet({
      placeholder: PLACEHOLDER,
      reservedPrograms: [{ id: reserved.toBase58(), authority: authority.publicKey.toBase58() }],
      bpfPrograms: [{ id: fixed.toBase58(), path }],
      upgradeablePrograms: [{
        id: upgradeable.toBase58(),
        path,
        authority: authority.publicKey.toBase58(),
      }],
    }, async ({ connection }) => {
      await connection.requestAirdrop(authority.publicKey, 10e9);
      assert.equal(await invoke(connection, authority, fixed), "ok");
      assert.equal(await invoke(connection, authority, upgradeable), "ok");
      const before = await invoke(connection, authority, reserved);
      assert.match(before, /InstructionError/);
      const data = await connection.getAccountInfo(programData(reserved));
      assert.equal(data?.data.length, 45 + 500_000);
      const buffer = await writeBuffer(connection, authority, minimalElf(0));
      await upgrade(connection, authority, reserved, buffer);
      assert.equal(await invoke(connection, authority, reserved), "ok");
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
