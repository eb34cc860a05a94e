/** The keys of a fleet: `keypair_<n>.json` from 1 on, and their addresses in `pubkeys.txt`. */
import { Keypair, PublicKey } from "@solana/web3.js";
import { join } from "node:path";
import { loadWallet, writeWallet } from "../chain/wallet.ts";
import { PsycheError } from "../error.ts";

export interface FleetKey {
  address: PublicKey;
  /** Null for an address that was given as such. */
  keyFile: string | null;
  /** Not on disk yet. */
  isNew: boolean;
}

/** Most keys of one fleet: the coordinator knows 256 clients, a file system many more. */
export const MAX_FLEET = 100_000;

/**
 * The first `count` keys of the directory. Missing ones are made in memory; {@linkcode saveFleet}
 * writes them.
 * @throws the errors of lib/chain/wallet.ts for a key file that is none
 */
export async function loadFleet(directory: string, count: number): Promise<Fleet> {
  const keys: (FleetKey & { keypair: Keypair })[] = [];
  const highest = Math.max(count, await highestIndex(directory));
  for (let i = 1; i <= highest; i++) {
    const keyFile = join(directory, `keypair_${i}.json`);
    const existing = await loadOrNull(keyFile);
    if (existing === null && i > count) continue;
    const keypair = existing ?? Keypair.generate();
    keys.push({ address: keypair.publicKey, keyFile, keypair, isNew: existing === null });
  }
  return { directory, wanted: keys.slice(0, count), all: keys };
}

export interface Fleet {
  directory: string;
  wanted: FleetKey[];
  /** Also the keys above the wanted count. */
  all: (FleetKey & { keypair: Keypair })[];
}

/** Makes the directory (0700), writes the new keys (0600, exclusively) and then the list of addresses. */
export async function saveFleet(fleet: Fleet): Promise<void> {
  const { directory, all } = fleet;
  await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
  if (Deno.build.os !== "windows") await Deno.chmod(directory, 0o700);
  for (const key of all.filter(({ isNew }) => isNew)) {
    await writeWallet(key.keyFile!, key.keypair);
  }
  const path = join(directory, "pubkeys.txt");
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  const lines = all.map(({ address }) => `${address.toBase58()}\n`).join("");
  await Deno.writeTextFile(temporary, lines, { createNew: true });
  await Deno.rename(temporary, path);
}

/** Largest recipients file, bytes. */
const MAX_LIST_BYTES = 10_000_000;

/**
 * The first `count` addresses of a file with one per line.
 * @throws PsycheError RECIPIENTS_INVALID: every bad line, a repeated address, too few lines
 */
export async function readRecipients(
  path: string,
  count: number,
): Promise<{ recipients: FleetKey[]; unused: number }> {
  const lines = (await readList(path)).split("\n").map((text, i) => ({
    text: text.trim(),
    n: i + 1,
  }))
    .filter(({ text }) => text !== "");
  const problems: string[] = [];
  if (lines.length < count) {
    problems.push(`it has ${lines.length} addresses and ${count} are to be funded`);
  }
  const seen = new Map<string, number>();
  const recipients: FleetKey[] = [];
  for (const { text, n } of lines.slice(0, count)) {
    const address = addressOrNull(text);
    if (address === null) problems.push(`line ${n} ("${text.slice(0, 50)}") is no address`);
    else if (seen.has(text)) {
      problems.push(`line ${n} repeats the address of line ${seen.get(text)}`);
    } else recipients.push({ address, keyFile: null, isNew: false });
    seen.set(text, n);
  }
  if (problems.length > 0) {
    const more = problems.length > 10 ? `; and ${problems.length - 10} more problems` : "";
    throw new PsycheError(
      "RECIPIENTS_INVALID",
      `The recipients file ${path} cannot be used: ${problems.slice(0, 10).join("; ")}${more}.`,
    );
  }
  return { recipients, unused: Math.max(0, lines.length - count) };
}

async function readList(path: string): Promise<string> {
  try {
    const { size, isFile } = await Deno.stat(path);
    if (isFile && size <= MAX_LIST_BYTES) return await Deno.readTextFile(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  throw unreadable(path);
}

function unreadable(path: string, cause?: unknown): PsycheError {
  return new PsycheError(
    "RECIPIENTS_INVALID",
    `The recipients file ${path} cannot be read (or is no list of addresses); check the path.`,
    { cause },
  );
}

function addressOrNull(text: string): PublicKey | null {
  try {
    return new PublicKey(text);
  } catch {
    return null;
  }
}

async function highestIndex(directory: string): Promise<number> {
  let highest = 0;
  try {
    for await (const { name } of Deno.readDir(directory)) {
      const index = Number(/^keypair_([1-9]\d{0,5})\.json$/.exec(name)?.[1] ?? 0);
      highest = Math.max(highest, index);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return Math.min(highest, MAX_FLEET);
}

async function loadOrNull(path: string): Promise<Keypair | null> {
  try {
    return (await loadWallet(path)).keypair;
  } catch (error) {
    if (error instanceof PsycheError && error.code === "WALLET_FILE_MISSING") return null;
    throw error;
  }
}
