/**
 * Files appear whole or not at all: everything is written under a temporary name beside the target
 * and renamed at the end.
 */

/**
 * Creates or replaces `path` with what `write` puts into the file. On any failure the temporary file
 * is removed and the old content stays.
 */
export async function writeFileAtomically(
  path: string,
  write: (file: Deno.FsFile) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await writeAndSync(temporary, write);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

async function writeAndSync(
  path: string,
  write: (file: Deno.FsFile) => Promise<void>,
): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  await write(file);
  await file.sync();
}

/** Writes all of `bytes`; a single `write` may stop early. */
export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}
