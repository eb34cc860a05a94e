/** Identity key files: 32 raw bytes, an Ed25519 seed, readable by the owner only. */

import { PsycheError } from "../error.ts";

/**
 * Reads an identity key file.
 * @throws PsycheError `P2P_IDENTITY_FILE_UNREADABLE` or `P2P_IDENTITY_FILE_INVALID`
 */
export async function readIdentityFile(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    using file = await Deno.open(path);
    const buffer = new Uint8Array(33);
    let length = 0;
    while (length < buffer.length) {
      const read = await file.read(buffer.subarray(length));
      if (read === null) break;
      length += read;
    }
    bytes = buffer.slice(0, length);
  } catch (cause) {
    throw new PsycheError(
      "P2P_IDENTITY_FILE_UNREADABLE",
      `Cannot read the identity key file ${path}; check that it exists and is yours, ` +
        `or leave it out to derive the identity from the wallet.`,
      { cause },
    );
  }
  if (bytes.length !== 32) {
    throw new PsycheError(
      "P2P_IDENTITY_FILE_INVALID",
      `The identity key file ${path} must hold exactly 32 bytes, it holds ` +
        `${
          bytes.length > 32 ? "more" : bytes.length
        }; make a new one or derive the identity from the wallet.`,
    );
  }
  return bytes;
}

/**
 * Creates an identity key file (mode 0600) with `secretKey`, 32 random bytes when left out. Never
 * overwrites.
 * @throws PsycheError `P2P_IDENTITY_FILE_EXISTS`, `P2P_IDENTITY_FILE_UNWRITABLE`
 */
export async function createIdentityFile(
  path: string,
  secretKey: Uint8Array = crypto.getRandomValues(new Uint8Array(32)),
): Promise<Uint8Array> {
  try {
    // One small write to a file made exclusively: either it is complete or the caller hears of it.
    await Deno.writeFile(path, secretKey, { createNew: true, mode: 0o600 });
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) {
      throw new PsycheError(
        "P2P_IDENTITY_FILE_EXISTS",
        `The identity key file ${path} exists already and is not overwritten; ` +
          `use it as it is or choose another name.`,
        { cause },
      );
    }
    throw new PsycheError(
      "P2P_IDENTITY_FILE_UNWRITABLE",
      `Cannot create the identity key file ${path}; check that its directory exists and is writable.`,
      { cause },
    );
  }
  return secretKey;
}
