/** Fetching one file: resumed where it stopped, checked before it counts. */
import { createHash, type Hash } from "node:crypto";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PsycheError } from "../error.ts";
import { answerError } from "./answer_error.ts";
import { writeAll } from "./atomic_file.ts";

export interface Download {
  url: string;
  /** What messages call it. */
  name: string;
  /** Where it goes. */
  path: string;
  /** Where it grows; a part that is there is continued. Default `<path>.incomplete`. */
  part?: string;
  /** Bytes. */
  size: number;
  /** Content hash, hex; null when the source tells none. `git` is git's SHA-1 of a blob. */
  hash: { kind: "sha256" | "git"; hex: string } | null;
}

/** Who is asked, and what its failures are called. */
export interface DownloadSource {
  fetch: typeof fetch;
  token?: string;
  /** Begins the codes of errors: `HUB` gives `HUB_UNAVAILABLE`. */
  code: "HUB" | "GCS";
  /** Environment variable that holds the token. */
  tokenVariable: string;
}

/** Milliseconds without a byte after which a download counts as broken. */
const STALL_MILLISECONDS = 30_000;
const READ_BYTES = 1 << 20;

/**
 * Downloads a file, unless it is there. Two processes that want the same file take turns.
 *
 * @param onBytes told how many further bytes are on disk; a failure takes them all back, because the next
 *   try counts what is there again
 * @throws PsycheError `..._UNAVAILABLE` (worth another try), `..._ACCESS_DENIED`, `..._NOT_FOUND`,
 * `..._FILE_CORRUPT`
 */
export async function downloadFile(
  file: Download,
  source: DownloadSource,
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { path, size, part: incomplete = `${path}.incomplete` } = file;
  if (await isThere(path)) return onBytes(size);
  await Deno.mkdir(dirname(path), { recursive: true });
  using part = await Deno.open(incomplete, { read: true, write: true, create: true });
  while (!await part.tryLock(true)) await sleep(200, undefined, { signal });
  // Whoever held the lock has perhaps finished the file.
  if (await isThere(path)) return onBytes(size);
  const hash = startHash(file);
  let length = await hashExisting(part, hash, size, signal);
  onBytes(length);
  const broken = (reason: string) => unavailable(file, source, reason);
  try {
    if (length < size) {
      const response = await request(file, source, length, signal);
      if (length > 0 && response.status !== 206) {
        // A server without ranges sends everything again.
        await response.body?.cancel();
        await part.truncate(0);
        throw broken("it cannot be continued and starts anew");
      }
      for await (const bytes of chunks(response, broken, signal)) {
        if (length + bytes.length > size) {
          throw corrupt(file, source, "more bytes came than announced");
        }
        await writeAll(part, bytes);
        hash?.update(bytes);
        length += bytes.length;
        onBytes(bytes.length);
      }
      if (length < size) throw broken(`it ended at ${length} bytes`);
    }
    const hex = hash?.digest("hex");
    if (hex !== file.hash?.hex) {
      throw corrupt(file, source, `its hash is ${hex}, not ${file.hash?.hex}`);
    }
    await part.sync();
    await Deno.rename(incomplete, path);
  } catch (error) {
    onBytes(-length);
    if (error instanceof PsycheError && error.code === `${source.code}_FILE_CORRUPT`) {
      await part.truncate(0);
    }
    throw error;
  }
}

/** Git hashes a header before the content. */
function startHash({ hash, size }: Download): Hash | null {
  if (hash === null) return null;
  if (hash.kind === "sha256") return createHash("sha256");
  return createHash("sha1").update(`blob ${size}\0`);
}

/** Hashes what is there already and stands at its end; a part that is too long is thrown away. */
async function hashExisting(
  part: Deno.FsFile,
  hash: Hash | null,
  limit: number,
  signal?: AbortSignal,
): Promise<number> {
  if ((await part.stat()).size > limit) await part.truncate(0);
  if (hash === null) return await part.seek(0, Deno.SeekMode.End);
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
  { url }: Download,
  { fetch, token, code, tokenVariable }: DownloadSource,
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
    throw new PsycheError(
      `${code}_UNAVAILABLE`,
      `${url} cannot be fetched; check the connection.`,
      { cause },
    );
  }
  const { ok, status } = response;
  if (ok) return response;
  await response.body?.cancel();
  throw answerError(code, url, status, {
    denied: `set ${tokenVariable} to a token that may read it`,
    missing: "it was removed or replaced meanwhile: try again",
  });
}

/** The body's parts, given up when none comes for too long. */
async function* chunks(
  response: Response,
  broken: (reason: string) => PsycheError,
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
          throw broken(cause instanceof Error ? cause.message : String(cause));
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

function unavailable({ name, url }: Download, { code }: DownloadSource, reason: string) {
  return new PsycheError(
    `${code}_UNAVAILABLE`,
    `The download of ${name} from ${url} broke off (${reason}); start it again, it goes on from there.`,
  );
}

function corrupt({ name }: Download, { code }: DownloadSource, reason: string) {
  return new PsycheError(
    `${code}_FILE_CORRUPT`,
    `The download of ${name} is damaged (${reason}) and was thrown away; try again.`,
  );
}
