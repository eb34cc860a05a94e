/** Fetching one file of the Hub into the cache: resumed where it stopped, checked before it counts. */
import { createHash, type Hash } from "node:crypto";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PsycheError } from "../../error.ts";
import { writeAll } from "../atomic_file.ts";
import type { HubAccess, HubFile } from "./hub_listing.ts";

/** Milliseconds without a byte after which a download counts as broken. */
const STALL_MILLISECONDS = 30_000;
const READ_BYTES = 1 << 20;

/**
 * Downloads `file` from `url` to `path`, unless it is there. An earlier attempt's part, in
 * `<path>.incomplete`, is continued. Two processes that want the same file take turns.
 *
 * @param onBytes told how many further bytes are on disk; negative when a part was thrown away
 * @throws PsycheError `HUB_UNAVAILABLE` (worth another try), `HUB_ACCESS_DENIED`, `HUB_FILE_CORRUPT`
 */
export async function downloadHubFile(
  url: string,
  file: HubFile,
  path: string,
  { fetch, token }: HubAccess,
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  if (await isThere(path)) return onBytes(file.size);
  await Deno.mkdir(dirname(path), { recursive: true });
  const incomplete = `${path}.incomplete`;
  using part = await Deno.open(incomplete, { read: true, write: true, create: true });
  while (!await part.tryLock(true)) await sleep(200, undefined, { signal });
  // Whoever held the lock has perhaps finished the file.
  if (await isThere(path)) return onBytes(file.size);
  const hash = startHash(file);
  let length = await hashExisting(part, hash, file.size, signal);
  onBytes(length);
  try {
    if (length < file.size) {
      const response = await request(url, { fetch, token }, length, signal);
      if (length > 0 && response.status !== 206) {
        // A server without ranges sends everything again.
        await response.body?.cancel();
        onBytes(-length);
        await part.truncate(0);
        throw unavailable(file, url, "it cannot be continued and starts anew");
      }
      for await (const bytes of chunks(response, file, url, signal)) {
        if (length + bytes.length > file.size) {
          throw corrupt(file, "more bytes came than announced");
        }
        await writeAll(part, bytes);
        hash.update(bytes);
        length += bytes.length;
        onBytes(bytes.length);
      }
      if (length < file.size) throw unavailable(file, url, `it ended at ${length} bytes`);
    }
    const hex = hash.digest("hex");
    if (hex !== file.hash.hex) throw corrupt(file, `its hash is ${hex}, not ${file.hash.hex}`);
    await part.sync();
    await Deno.rename(incomplete, path);
  } catch (error) {
    if (error instanceof PsycheError && error.code === "HUB_FILE_CORRUPT") {
      onBytes(-length);
      await part.truncate(0);
    }
    throw error;
  }
}

/** Git hashes a header before the content. */
function startHash({ hash, size }: HubFile): Hash {
  if (hash.kind === "sha256") return createHash("sha256");
  return createHash("sha1").update(`blob ${size}\0`);
}

/** Hashes what is there already and stands at its end; a part that is too long is thrown away. */
async function hashExisting(
  part: Deno.FsFile,
  hash: Hash,
  limit: number,
  signal?: AbortSignal,
): Promise<number> {
  if ((await part.stat()).size > limit) await part.truncate(0);
  await part.seek(0, Deno.SeekMode.Start);
  const buffer = new Uint8Array(READ_BYTES);
  let length = 0;
  for (let read; (read = await part.read(buffer)) !== null; length += read) {
    signal?.throwIfAborted();
    hash.update(buffer.subarray(0, read));
  }
  return length;
}

async function request(
  url: string,
  { fetch, token }: HubAccess,
  from: number,
  signal?: AbortSignal,
): Promise<Response> {
  const headers = new Headers({ "accept-encoding": "identity" });
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  if (from > 0) headers.set("range", `bytes=${from}-`);
  let response: Response;
  try {
    response = await fetch(url, { headers, signal: signal ?? null });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new PsycheError("HUB_UNAVAILABLE", `${url} cannot be fetched; check the connection.`, {
      cause,
    });
  }
  if (response.ok) return response;
  await response.body?.cancel();
  const denied = response.status === 401 || response.status === 403;
  throw new PsycheError(
    denied ? "HUB_ACCESS_DENIED" : "HUB_UNAVAILABLE",
    `${url} answers with status ${response.status}; ` +
      (denied ? "set HF_TOKEN to a token that may read it." : "try again later."),
  );
}

/** The body's parts, given up when none comes for too long. */
async function* chunks(
  response: Response,
  file: HubFile,
  url: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const stalled = Promise.withResolvers<never>();
      const timer = setTimeout(
        () => stalled.reject(new Error(`no byte for ${STALL_MILLISECONDS} ms`)),
        STALL_MILLISECONDS,
      );
      const next = await Promise.race([reader.read(), stalled.promise])
        .catch((cause) => {
          signal?.throwIfAborted();
          throw unavailable(file, url, cause instanceof Error ? cause.message : String(cause));
        })
        .finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

function unavailable({ path }: HubFile, url: string, reason: string): PsycheError {
  return new PsycheError(
    "HUB_UNAVAILABLE",
    `The download of ${path} from ${url} broke off (${reason}); start it again, it goes on from there.`,
  );
}

function corrupt({ path }: HubFile, reason: string): PsycheError {
  return new PsycheError(
    "HUB_FILE_CORRUPT",
    `The download of ${path} is damaged (${reason}) and was thrown away; try again.`,
  );
}
