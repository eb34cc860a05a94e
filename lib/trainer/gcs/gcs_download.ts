/** A run's model in a bucket, downloaded where it is missing: client-lifecycle.md section 8.4. */
import { join } from "node:path";
import { PsycheError } from "../../error.ts";
import type { GcsRepo } from "../../protocol/coordinator_state.ts";
import { writeAll, writeFileAtomically } from "../atomic_file.ts";
import { concurrently } from "../data/concurrently.ts";
import { withRetries } from "../data/retries.ts";
import { selectModelFiles } from "../model/select_model_files.ts";
import { downloadFile, type DownloadSource } from "../resumable_download.ts";
import { bucketUrl, contentUrl, type GcsAccess, gcsDocument } from "./gcs_access.ts";
import { GCS_TOKEN_VARIABLE } from "./gcs_token.ts";
import { checkedFile, type GcsFile, MANIFEST, parseManifest } from "./gcs_manifest.ts";

export interface GcsProgress {
  /** `gs://bucket/prefix`. */
  name: string;
  /** Bytes that are here. */
  bytes: number;
  totalBytes: number;
}

export interface GcsOptions extends GcsAccess {
  /** See `gcsFromEnvironment`. */
  cacheDirectory: string;
  /** Files fetched at the same time. Default 3. */
  concurrency?: number;
  /** Pause in milliseconds before the n-th repetition of a failed request. */
  pause?: (retry: number) => number;
  onProgress?: (progress: GcsProgress) => void;
  signal?: AbortSignal;
}

/** What is to be fetched and where it goes. */
interface Checkpoint {
  files: GcsFile[];
  directory: string;
}

const RETRIES = 4;
const MAX_LISTED = 10_000;
/** Which generation of each file a directory holds. */
const GENERATIONS = ".generations.json";

/** `gs://bucket/prefix`, which is how people write it. */
export function gcsName({ bucket, prefix }: GcsRepo): string {
  return prefix ? `gs://${bucket}/${prefix}` : `gs://${bucket}`;
}

/**
 * Directory with the model that a bucket holds: the files of its manifest in the generations listed
 * there, without a manifest the files below the prefix. Settings that the manifest does not list
 * (config.json and the tokenizer, when another toolkit wrote it) are taken from beside it.
 *
 * @throws PsycheError `GCS_NAME_INVALID`, `GCS_ACCESS_DENIED`, `GCS_NOT_FOUND`, `GCS_UNAVAILABLE`,
 * `GCS_FILES_MISSING`, `GCS_MANIFEST_INVALID`, `GCS_FILE_CORRUPT`
 */
export async function resolveGcsModel(repo: GcsRepo, options: GcsOptions): Promise<string> {
  const { signal, pause } = options;
  checkName(repo);
  // A file that is gone was replaced by a newer checkpoint: its manifest is read then.
  return await withRetries(async () => {
    const checkpoint = await withRetries(() => findCheckpoint(repo, options), {
      retries: RETRIES,
      pause,
      code: "GCS_UNAVAILABLE",
      signal,
    });
    await fetchFiles(repo, checkpoint, options);
    return checkpoint.directory;
  }, { retries: 2, pause, code: "GCS_NOT_FOUND", signal });
}

async function findCheckpoint(repo: GcsRepo, options: GcsOptions): Promise<Checkpoint> {
  const { signal } = options;
  const folder = join(options.cacheDirectory, repo.bucket, ...prefixParts(repo));
  const manifestUrl = contentUrl(options, repo.bucket, objectName(repo, MANIFEST));
  const found = await gcsDocument(manifestUrl, options, signal).catch((error) => {
    if (error instanceof PsycheError && error.code === "GCS_NOT_FOUND") return null;
    throw error;
  });
  if (found === null) {
    const files = selectModelFiles(await listFiles(repo, options));
    if (files.length === 0) throw filesMissing(repo);
    return { files, directory: join(folder, "no_manifest") };
  }
  const { step, files } = parseManifest(found.document, `The manifest of ${gcsName(repo)}`);
  if (!files.some(({ path }) => path === "config.json")) {
    const listed = new Set(files.map(({ path }) => path));
    const beside = (await listFiles(repo, options)).filter(({ path }) =>
      path.endsWith(".json") && !path.endsWith(".index.json") && !listed.has(path)
    );
    files.push(...beside);
  }
  if (selectModelFiles(files).length === 0) throw filesMissing(repo);
  const given = found.headers.get("x-goog-generation") ?? "";
  const generation = /^\d{1,20}$/.test(given) ? given : "0";
  return { files, directory: join(folder, `step-${step}-${generation}`) };
}

/** The objects directly below the prefix, without the manifest. */
async function listFiles(repo: GcsRepo, options: GcsOptions): Promise<GcsFile[]> {
  const prefix = objectName(repo, "");
  const files: GcsFile[] = [];
  let pageToken: unknown = "";
  do {
    const query = new URLSearchParams({
      prefix,
      delimiter: "/",
      fields: "items(name,size,generation),nextPageToken",
      ...(pageToken ? { pageToken: String(pageToken) } : {}),
    });
    const url = bucketUrl(options, repo.bucket, `/o?${query}`);
    const { document } = await gcsDocument(url, options, options.signal);
    const { items, nextPageToken } = (document ?? {}) as Record<string, unknown>;
    for (const { name, size, generation } of Array.isArray(items) ? items : []) {
      const path = String(name).slice(prefix.length);
      if (!/\.(json|safetensors)$/.test(path) || path === MANIFEST) continue;
      files.push(checkedFile({ path, size, generation }, (what) =>
        new PsycheError(
          "GCS_FILES_MISSING",
          `The listing of ${gcsName(repo)} cannot be used: ${what}; correct the bucket.`,
        )));
    }
    pageToken = nextPageToken;
  } while (pageToken && files.length <= MAX_LISTED);
  return files;
}

async function fetchFiles(
  repo: GcsRepo,
  { files, directory }: Checkpoint,
  options: GcsOptions,
): Promise<void> {
  const { fetch, token, signal, pause, onProgress } = options;
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  let bytes = 0;
  const report = (more: number) => {
    bytes += more;
    onProgress?.({ name: gcsName(repo), bytes, totalBytes });
  };
  await Deno.mkdir(directory, { recursive: true });
  const here = await dropOutdated(directory, files);
  let written = Promise.resolve();
  await concurrently(files, options.concurrency ?? 3, async (file, stop) => {
    const { path: name, generation, size } = file;
    const path = join(directory, name);
    const url = contentUrl(options, repo.bucket, objectName(repo, name), generation);
    const part = join(directory, `.${name}.${generation}.incomplete`);
    const download = { url, name, path, part, size, hash: null };
    await withRetries(async () => {
      const source: DownloadSource = {
        fetch,
        token: await token?.(fetch, stop),
        code: "GCS",
        tokenVariable: GCS_TOKEN_VARIABLE,
      };
      await downloadFile(download, source, report, stop);
    }, { retries: RETRIES, pause, code: "GCS_UNAVAILABLE", signal: stop });
    here.set(name, generation);
    // One after the other: an older record must not replace a newer one.
    written = written.then(() => writeGenerations(directory, here));
    await written;
  }, signal);
}

/** Removes files of other generations; what is left is as it should be. */
async function dropOutdated(directory: string, files: GcsFile[]): Promise<Map<string, string>> {
  // Unreadable or not there: everything is fetched again.
  const here = await Deno.readTextFile(join(directory, GENERATIONS))
    .then((text) => new Map<string, string>(Object.entries(JSON.parse(text))))
    .catch(() => new Map<string, string>());
  const wanted = new Map(files.map(({ path, generation }) => [path, generation]));
  for await (const { name, isFile } of Deno.readDir(directory)) {
    // Hidden ones are this record and parts, which name their generation themselves.
    if (!isFile || name.startsWith(".") || wanted.get(name) === here.get(name)) continue;
    here.delete(name);
    await Deno.remove(join(directory, name)).catch(() => {});
  }
  return here;
}

async function writeGenerations(directory: string, here: Map<string, string>): Promise<void> {
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(here)));
  await writeFileAtomically(join(directory, GENERATIONS), (file) => writeAll(file, text));
}

/** Name of an object of the checkpoint. */
export function objectName(repo: GcsRepo, file: string): string {
  return [...prefixParts(repo), file].join("/");
}

function prefixParts({ prefix }: GcsRepo): string[] {
  return (prefix ?? "").split("/").filter((part) => part !== "");
}

/**
 * Bucket and prefix become folders of the cache.
 *
 * @throws PsycheError `GCS_NAME_INVALID`
 */
export function checkName(repo: GcsRepo): void {
  const isFolder = (part: string) => /^[\w][\w.-]*$/.test(part);
  if (isFolder(repo.bucket) && prefixParts(repo).every(isFolder)) return;
  throw new PsycheError(
    "GCS_NAME_INVALID",
    `${gcsName(repo)} is no usable place; use letters, digits, -, _ and . in bucket and prefix.`,
  );
}

function filesMissing(repo: GcsRepo): PsycheError {
  return new PsycheError(
    "GCS_FILES_MISSING",
    `${gcsName(repo)} holds no config.json with .safetensors weights; check bucket and prefix.`,
  );
}
