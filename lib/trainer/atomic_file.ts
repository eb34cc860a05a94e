/**
 * Files appear whole or not at all: everything is written under a temporary name beside the target
 * and renamed at the end.
 */
import { dirname } from "node:path";
import { PsycheError } from "../error.ts";

/**
 * Creates or replaces `path` with what `write` puts into the file. On any failure the temporary file
 * is removed and the old content stays. Directories above it that are missing are made.
 *
 * @throws PsycheError `OUTPUT_UNWRITABLE` when no file can be made there, and what `write` throws
 */
export async function writeFileAtomically(
  path: string,
  write: (file: Deno.FsFile) => Promise<void>,
): Promise<void> {
  await makeParent(path);
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await writeAndSync(temporary, write);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/** Makes the directory for `path`. @throws PsycheError `OUTPUT_UNWRITABLE` */
export async function makeParent(path: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true }).catch((cause) => unwritable(path, cause));
}

/** Makes a directory unless it is there, and tries it. @throws PsycheError `OUTPUT_UNWRITABLE` */
export async function ensureWritable(directory: string): Promise<void> {
  try {
    await Deno.mkdir(directory, { recursive: true });
    await Deno.remove(await Deno.makeTempDir({ dir: directory, prefix: ".try-" }));
  } catch (cause) {
    unwritable(directory, cause as Error);
  }
}

/** @throws PsycheError `OUTPUT_UNWRITABLE` */
export function unwritable(path: string, cause: Error): never {
  throw new PsycheError(
    "OUTPUT_UNWRITABLE",
    `${path} cannot be written (${cause.message}); choose another place or change its rights.`,
    { cause },
  );
}

async function writeAndSync(
  path: string,
  write: (file: Deno.FsFile) => Promise<void>,
): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true })
    .catch((cause) => unwritable(path, cause));
  await write(file);
  await file.sync();
}

/** Writes all of `bytes`; a single `write` may stop early. */
export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}
