/** Deploying, upgrading and reading programs of the upgradeable loader, by ordinary transactions. */
import {
  type Connection,
  Keypair,
  LAMPORTS_PER_SOL,
  PublicKey,
  SystemProgram,
} from "@solana/web3.js";
import { createHash } from "node:crypto";
import { PsycheError } from "../error.ts";
import { clusterOf } from "./connection.ts";
import * as loader from "./loader_v3.ts";
import { sendInstructions } from "./send.ts";
import { sleep } from "./sleep.ts";
import { writeBuffer } from "./write_buffer.ts";

export { bindProgramIds } from "./program_ids_table.ts";

export interface DeployOptions {
  connection: Connection;
  payer: Keypair;
  /** Upgrade authority, now and afterwards. */
  authority: Keypair;
  /** The program file. */
  so: Uint8Array;
  /** A keypair: deploy there (or upgrade what is there). An address: upgrade the program there. */
  program: Keypair | PublicKey;
  /** Room for later versions, in bytes. Default: the size of `so`. */
  maxLen?: number;
  priorityFeeMicroLamports?: number;
  onProgress?: (event: DeployProgress) => void;
  signal?: AbortSignal;
}

/** `done` of `total` transactions while writing; 0 or 1 of 1 in the other phases. */
export interface DeployProgress {
  phase: "write" | "deploy" | "verify";
  done: number;
  total: number;
}

export interface DeployResult {
  programId: PublicKey;
  kind: "deployed" | "upgraded";
  /** Of the transaction that made the new program live. */
  signature: string;
  writeTransactions: number;
}

export interface ProgramOnChain {
  exists: boolean;
  executable: boolean;
  /** `null`: none, the program is final (or does not exist). */
  upgradeAuthority: PublicKey | null;
  /** Program bytes with the zeros of the unused room; empty when there is no program. */
  bytes: Uint8Array;
  /** {@linkcode programHash} of `bytes`, hex; `null` when there is no program. */
  sha256: string | null;
}

/** SHA-256, hex, of a program without trailing zeros: the same for a file and its copy on chain. */
export function programHash(bytes: Uint8Array): string {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return createHash("sha256").update(bytes.subarray(0, end)).digest("hex");
}

/** What is at a program address. */
export async function readProgram(connection: Connection, id: PublicKey): Promise<ProgramOnChain> {
  const absent = { executable: false, upgradeAuthority: null, bytes: new Uint8Array(0) };
  const account = await connection.getAccountInfo(id);
  if (!account) return { exists: false, ...absent, sha256: null };
  const dataAddress = account.owner.equals(loader.LOADER_V3)
    ? loader.programDataOf(account.data)
    : undefined;
  if (!dataAddress) {
    // A program of an older loader keeps its bytes in its own account; anything else is no program.
    if (!account.executable) return { exists: true, ...absent, sha256: null };
    const bytes = new Uint8Array(account.data);
    return { ...absent, exists: true, executable: true, bytes, sha256: programHash(bytes) };
  }
  const programData = await connection.getAccountInfo(dataAddress);
  const upgradeAuthority = programData && loader.programDataAuthority(programData.data);
  if (!programData || upgradeAuthority === undefined) {
    return { exists: true, ...absent, sha256: null }; // closed
  }
  const bytes = new Uint8Array(programData.data.subarray(loader.PROGRAM_DATA_HEADER_BYTES));
  return {
    exists: true,
    executable: account.executable,
    upgradeAuthority,
    bytes,
    sha256: programHash(bytes),
  };
}

/**
 * Deploy or upgrade a program and check what then stands on chain, byte by byte.
 *
 * The buffer's address follows from the authority and the program file, so a deployment that was
 * interrupted goes on where it stopped when it is started again.
 * @throws PsycheError PROGRAM_FILE_INVALID, PROGRAM_NOT_FOUND, PROGRAM_AUTHORITY_MISMATCH,
 *   INSUFFICIENT_FUNDS, PROGRAM_NOT_VERIFIED, and what sending throws
 */
export async function deployProgram(options: DeployOptions): Promise<DeployResult> {
  const { connection, payer, authority, so, program, signal } = options;
  const report = (phase: DeployProgress["phase"], done: number, total: number) =>
    options.onProgress?.({ phase, done, total });
  checkProgramFile(so);
  const programId = program instanceof PublicKey ? program : program.publicKey;
  const present = await readProgram(connection, programId);
  checkTarget(present, programId, options);
  await checkFunds(options, present);

  const buffer = await prepareBuffer(options);
  const writeTransactions = await writeBuffer({
    ...options,
    buffer,
    onProgress: (done, total) => report("write", done, total),
  });

  report("deploy", 0, 1);
  const common = { program: programId, buffer, authority: authority.publicKey };
  const send = { ...options, label: "Deploying the program", signers: [authority] };
  let live;
  if (present.exists) {
    if (present.bytes.length < so.length) {
      const extend = loader.extendProgram(
        payer.publicKey,
        programId,
        so.length - present.bytes.length,
      );
      const extended = await sendInstructions({ ...send, instructions: [extend] });
      await slotAfter(connection, extended.slot, signal); // at most one change of a program a slot
    }
    live = await sendInstructions({
      ...send,
      instructions: [loader.upgrade({ ...common, spill: payer.publicKey })],
    });
  } else {
    const rent = await connection.getMinimumBalanceForRentExemption(loader.PROGRAM_ACCOUNT_BYTES);
    live = await sendInstructions({
      ...send,
      signers: [authority, program as Keypair],
      instructions: [
        SystemProgram.createAccount({
          fromPubkey: payer.publicKey,
          newAccountPubkey: programId,
          lamports: rent,
          space: loader.PROGRAM_ACCOUNT_BYTES,
          programId: loader.LOADER_V3,
        }),
        loader.deployWithMaxDataLen({
          ...common,
          payer: payer.publicKey,
          maxDataLen: Math.max(options.maxLen ?? 0, so.length),
        }),
      ],
    });
  }
  report("deploy", 1, 1);
  await slotAfter(connection, live.slot, signal); // a program answers from the next slot on
  report("verify", 0, 1);
  await verify(connection, programId, so);
  report("verify", 1, 1);
  return {
    programId,
    kind: present.exists ? "upgraded" : "deployed",
    signature: live.signature,
    writeTransactions,
  };
}

/**
 * Give up an interrupted deployment of `so`: close its buffer, so that its rent goes back to `payer`.
 * @returns the lamports that came back; 0 when there is no such buffer
 */
export async function reclaimBuffer(
  options: Pick<DeployOptions, "connection" | "payer" | "authority" | "so" | "signal">,
): Promise<number> {
  const { connection, payer, authority } = options;
  const buffer = await bufferAddress(options);
  const lamports = await connection.getBalance(buffer);
  if (lamports === 0) return 0;
  await sendInstructions({
    ...options,
    label: "Closing the program buffer",
    signers: [authority],
    instructions: [loader.closeBuffer(buffer, payer.publicKey, authority.publicKey)],
  });
  return lamports;
}

function checkProgramFile(so: Uint8Array): void {
  const elf = [0x7f, 0x45, 0x4c, 0x46];
  if (so.length > 64 && so.length <= 10 * 1024 * 1024 && elf.every((byte, i) => so[i] === byte)) {
    return;
  }
  throw new PsycheError(
    "PROGRAM_FILE_INVALID",
    `The program file (${so.length} bytes) is not an ELF shared object of at most 10 MiB; give the .so that the build wrote.`,
  );
}

function checkTarget(present: ProgramOnChain, programId: PublicKey, options: DeployOptions): void {
  const { program, authority, connection } = options;
  if (!present.exists) {
    if (!(program instanceof PublicKey)) return;
    throw new PsycheError(
      "PROGRAM_NOT_FOUND",
      `There is no program ${programId.toBase58()} on ${
        clusterOf(connection)
      } to upgrade; give the program's keypair to deploy it there for the first time.`,
    );
  }
  if (present.sha256 === null) {
    throw new PsycheError(
      "PROGRAM_NOT_FOUND",
      `${programId.toBase58()} on ${
        clusterOf(connection)
      } is not a program (or a closed one); use another address.`,
    );
  }
  if (!present.upgradeAuthority?.equals(authority.publicKey)) {
    throw new PsycheError(
      "PROGRAM_AUTHORITY_MISMATCH",
      `The program ${programId.toBase58()} on ${clusterOf(connection)} can be upgraded by ${
        present.upgradeAuthority?.toBase58() ?? "nobody"
      }, not by ${authority.publicKey.toBase58()}; use that wallet or deploy under another keypair.`,
    );
  }
}

/** Ask before the first of hundreds of transactions whether the money lasts to the last. */
async function checkFunds(options: DeployOptions, present: ProgramOnChain): Promise<void> {
  const { connection, payer, so } = options;
  const rent = (bytes: number) => connection.getMinimumBalanceForRentExemption(bytes);
  const capacity = Math.max(options.maxLen ?? 0, so.length);
  const fees = 5000 * 2 * (Math.ceil(so.length / 900) + 4);
  // The buffer's rent comes back, so the most that is needed at once is the larger of the two.
  const bufferRent = await rent(loader.BUFFER_HEADER_BYTES + so.length);
  const finalRent = present.exists ? 0 : await rent(loader.PROGRAM_DATA_HEADER_BYTES + capacity) +
    await rent(loader.PROGRAM_ACCOUNT_BYTES);
  const buffered = await connection.getBalance(await bufferAddress(options));
  const needed = Math.max(bufferRent, finalRent) - buffered + fees;
  const balance = await connection.getBalance(payer.publicKey);
  if (balance < needed) {
    const sol = (lamports: number) => (lamports / LAMPORTS_PER_SOL).toFixed(4);
    throw new PsycheError(
      "INSUFFICIENT_FUNDS",
      `The wallet ${payer.publicKey.toBase58()} has ${sol(balance)} SOL and this deployment needs ${
        sol(needed)
      }; put more SOL into it and try again.`,
    );
  }
}

function bufferSeed(so: Uint8Array): string {
  return createHash("sha256").update(so).digest("hex").slice(0, 32);
}

function bufferAddress(
  { authority, so }: Pick<DeployOptions, "authority" | "so">,
): Promise<PublicKey> {
  return PublicKey.createWithSeed(authority.publicKey, bufferSeed(so), loader.LOADER_V3);
}

/** Create the buffer, or find the one an interrupted deployment left. */
async function prepareBuffer(options: DeployOptions): Promise<PublicKey> {
  const { connection, payer, authority, so } = options;
  const buffer = await bufferAddress(options);
  const space = loader.BUFFER_HEADER_BYTES + so.length;
  const account = await connection.getAccountInfo(buffer);
  if (account) {
    const owner = loader.bufferAuthority(account.data);
    if (account.data.length === space && owner?.equals(authority.publicKey)) return buffer;
    throw new PsycheError(
      "BUFFER_UNUSABLE",
      `The buffer ${buffer.toBase58()} exists but is not one of this deployment; deploy with another authority.`,
    );
  }
  await sendInstructions({
    ...options,
    label: "Creating the program buffer",
    signers: [authority],
    instructions: [
      SystemProgram.createAccountWithSeed({
        fromPubkey: payer.publicKey,
        newAccountPubkey: buffer,
        basePubkey: authority.publicKey,
        seed: bufferSeed(so),
        lamports: await connection.getMinimumBalanceForRentExemption(space),
        space,
        programId: loader.LOADER_V3,
      }),
      loader.initializeBuffer(buffer, authority.publicKey),
    ],
  });
  return buffer;
}

async function slotAfter(connection: Connection, slot: number, signal?: AbortSignal) {
  while (await connection.getSlot() <= slot) await sleep(100, signal);
}

async function verify(connection: Connection, programId: PublicKey, so: Uint8Array) {
  const { bytes, executable } = await readProgram(connection, programId);
  if (executable && bytes.length >= so.length && programHash(bytes) === programHash(so)) return;
  throw new PsycheError(
    "PROGRAM_NOT_VERIFIED",
    `The program ${programId.toBase58()} on ${
      clusterOf(connection)
    } does not hold the bytes that were sent; deploy it again.`,
  );
}
