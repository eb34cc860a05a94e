/**
 * Wallet files as the Solana CLI writes them: a JSON array of 64 bytes (32 secret, 32 public), or
 * the same 64 bytes in base58 (docs/protocol/commands.md section 0.4).
 *
 * No message of this file ever repeats what a wallet contains.
 */
import { Keypair } from "@solana/web3.js";
import bs58 from "bs58";
import { PsycheError } from "../error.ts";

export interface LoadedWallet {
  keypair: Keypair;
  /** Sentences for the user, for example about a file that others may read. */
  warnings: string[];
}

const MAX_WALLET_FILE_BYTES = 4096;

/**
 * Read a wallet file.
 * @throws PsycheError WALLET_FILE_MISSING, WALLET_FILE_UNREADABLE, WALLET_INVALID
 */
export async function loadWallet(path: string): Promise<LoadedWallet> {
  let text: string;
  let mode: number | null;
  try {
    const info = await Deno.stat(path);
    if (!info.isFile) throw invalid(path, "is not a file");
    if (info.size > MAX_WALLET_FILE_BYTES) {
      throw invalid(path, `has ${info.size} bytes, far more than a wallet`);
    }
    mode = info.mode;
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof PsycheError) throw error;
    if (error instanceof Deno.errors.NotFound) {
      throw new PsycheError(
        "WALLET_FILE_MISSING",
        `There is no wallet file at ${path}; create one with "solana-keygen new -o ${path}" or name another file.`,
        { cause: error },
      );
    }
    throw new PsycheError(
      "WALLET_FILE_UNREADABLE",
      `The wallet file ${path} cannot be read; check its owner and permissions.`,
      { cause: error },
    );
  }
  const warnings: string[] = [];
  if (mode !== null && (mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, "0");
    warnings.push(
      `Other users of this machine may read the wallet file ${path} (mode ${octal}); run "chmod 600 ${path}".`,
    );
  }
  return { keypair: parseWallet(text, path), warnings };
}

/**
 * Parse a wallet.
 * @param source how to name it in messages: a path or the name of a variable
 * @throws PsycheError WALLET_INVALID
 */
export function parseWallet(text: string, source: string): Keypair {
  const trimmed = text.trim();
  if (trimmed === "") throw invalid(source, "is empty");
  const bytes = trimmed.startsWith("[")
    ? bytesOfJson(trimmed, source)
    : bytesOfBase58(trimmed, source);
  if (bytes.length === 32) {
    throw invalid(source, "holds 32 bytes (a seed or a public key) where 64 are needed");
  }
  if (bytes.length !== 64) throw invalid(source, `holds ${bytes.length} bytes where 64 are needed`);
  const keypair = Keypair.fromSeed(bytes.subarray(0, 32));
  if (!keypair.publicKey.toBytes().every((byte, i) => byte === bytes[32 + i])) {
    throw invalid(source, "has a public half that does not belong to its secret half");
  }
  return keypair;
}

/**
 * Make a new wallet file, mode 0600; never overwrites.
 * @throws PsycheError WALLET_FILE_EXISTS, WALLET_FILE_UNWRITABLE
 */
export async function createWallet(path: string): Promise<Keypair> {
  const keypair = Keypair.generate();
  await writeWallet(path, keypair);
  return keypair;
}

/** Write `keypair` to a new file, mode 0600; throws as {@linkcode createWallet} does. */
export async function writeWallet(path: string, keypair: Keypair): Promise<void> {
  // Written beside and linked into place, so that no half key ever carries the final name and an
  // existing file is never replaced (link, unlike rename, refuses an existing target).
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await Deno.writeTextFile(temporary, JSON.stringify([...keypair.secretKey]), {
      createNew: true,
      mode: 0o600,
    });
    await Deno.link(temporary, path);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new PsycheError(
        "WALLET_FILE_EXISTS",
        `There is already a file at ${path}; remove it yourself or choose another path.`,
        { cause: error },
      );
    }
    throw new PsycheError(
      "WALLET_FILE_UNWRITABLE",
      `The wallet file ${path} cannot be written; check that its folder exists and is yours.`,
      { cause: error },
    );
  } finally {
    await Deno.remove(temporary).catch(() => {});
  }
}

function bytesOfJson(text: string, source: string): Uint8Array {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(source, "is not valid JSON (perhaps cut off)");
  }
  if (!Array.isArray(value)) throw invalid(source, "is not a JSON array");
  const wrong = value.findIndex((item) => !Number.isInteger(item) || item < 0 || item > 255);
  if (wrong >= 0) throw invalid(source, `has something other than a byte at position ${wrong}`);
  return Uint8Array.from(value as number[]);
}

function bytesOfBase58(text: string, source: string): Uint8Array {
  // 64 bytes are at most 88 digits; longer text is refused before the quadratic decoder sees it.
  const bytes = text.length <= 128 ? bs58.decodeUnsafe(text) : undefined;
  if (!bytes) throw invalid(source, "is neither a JSON array of 64 bytes nor base58 text");
  return bytes;
}

function invalid(source: string, problem: string): PsycheError {
  return new PsycheError(
    "WALLET_INVALID",
    `The wallet ${source} ${problem}; give a Solana CLI keypair (a JSON array of 64 bytes, or base58).`,
  );
}
