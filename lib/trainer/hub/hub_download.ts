/** A repository's files in the shared cache, downloaded where they are missing. */
import { dirname, join, relative } from "node:path";
import { PsycheError } from "../../error.ts";
import { concurrently } from "../data/concurrently.ts";
import { withRetries } from "../data/retries.ts";
import { downloadFile, type DownloadSource } from "../resumable_download.ts";
import {
  cachedSnapshot,
  COMMIT,
  type HubRepository,
  repositoryFolder,
  writeRef,
} from "./hub_cache.ts";
import { HUB_URL, type HubAccess, type HubFile, listHubRepository } from "./hub_listing.ts";

export interface HubProgress {
  name: string;
  /** Bytes that are here. */
  bytes: number;
  totalBytes: number;
  files: number;
}

export interface HubOptions extends HubAccess {
  /** See `hubCacheDirectory`. */
  cacheDirectory: string;
  /** Ask nobody: what the cache does not hold is missing. */
  offline?: boolean;
  /** Files fetched at the same time. Default 3. */
  concurrency?: number;
  /** Largest sum of the files' sizes. Default 1 TB. */
  maxBytes?: number;
  /** Pause in milliseconds before the n-th repetition of a failed request. */
  pause?: (retry: number) => number;
  onProgress?: (progress: HubProgress) => void;
  signal?: AbortSignal;
}

/** What is wanted of a repository. */
export interface Selection {
  /** The wanted ones among a repository's files. */
  select(files: HubFile[]): HubFile[];
  /** True when a directory holds all that is wanted; decides whether the cache alone will do. */
  isComplete(directory: string): Promise<boolean>;
}

const RETRIES = 4;

/**
 * Directory with the selected files of a revision. A commit that the cache holds completely is taken
 * without asking anybody; for a branch or tag the Hub is asked what it means now, and the cache is
 * the answer when the Hub cannot be reached.
 *
 * @throws PsycheError `HUB_NAME_INVALID`, `HUB_ACCESS_DENIED`, `HUB_NOT_FOUND`, `HUB_UNAVAILABLE`,
 * `HUB_FILES_MISSING`, `HUB_TOO_LARGE`, `HUB_FILE_CORRUPT`, `HUB_ANSWER_INVALID`
 */
export async function hubSnapshot(
  repo: HubRepository,
  revision: string,
  selection: Selection,
  options: HubOptions,
): Promise<string> {
  const folder = repositoryFolder(options.cacheDirectory, repo);
  const cached = await cachedSnapshot(folder, revision);
  const usable = cached !== null && await selection.isComplete(cached) ? cached : null;
  if (usable !== null && (options.offline || COMMIT.test(revision))) return usable;
  if (options.offline) {
    throw new PsycheError(
      "HUB_UNAVAILABLE",
      `The cache ${options.cacheDirectory} does not hold the ${repo.type} ${repo.name} at ${revision}, and HF_HUB_OFFLINE forbids to ask the Hub; fetch it with predownload.`,
    );
  }
  try {
    return await download(repo, revision, folder, selection, options);
  } catch (error) {
    const offline = error instanceof PsycheError && error.code === "HUB_UNAVAILABLE";
    if (offline && usable !== null) return usable;
    throw error;
  }
}

async function download(
  repo: HubRepository,
  revision: string,
  folder: string,
  selection: Selection,
  options: HubOptions,
): Promise<string> {
  const { signal, onProgress, pause, maxBytes = 1e12 } = options;
  const retry = { retries: RETRIES, pause, code: "HUB_UNAVAILABLE", signal };
  const listing = await listHubRepository(repo, revision, options, signal);
  const files = selection.select(listing.files);
  if (files.length === 0) {
    throw new PsycheError(
      "HUB_FILES_MISSING",
      `The ${repo.type} ${repo.name} at ${revision} has none of the files that are needed among its ${listing.files.length}; check the name.`,
    );
  }
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  if (totalBytes > maxBytes) {
    throw new PsycheError(
      "HUB_TOO_LARGE",
      `${repo.name} holds ${totalBytes} bytes, more than the ${maxBytes} allowed; choose a smaller one.`,
    );
  }
  let bytes = 0;
  const report = (more: number) => {
    bytes += more;
    onProgress?.({ name: repo.name, bytes, totalBytes, files: files.length });
  };
  const snapshot = join(folder, "snapshots", listing.commit);
  const { fetch, token } = options;
  const source: DownloadSource = { fetch, token, code: "HUB", tokenVariable: "HF_TOKEN" };
  await concurrently(files, options.concurrency ?? 3, async (file, stop) => {
    const blob = join(folder, "blobs", file.hash.hex);
    const url = fileUrl(repo, listing.commit, file.path, options.hubUrl);
    await withRetries(async () => {
      const { path: name, size, hash } = file;
      await downloadFile({ url, name, path: blob, size, hash }, source, report, stop);
    }, { ...retry, signal: stop });
    await linkInto(join(snapshot, file.path), blob);
  }, signal);
  // Last: from now on the cache knows the revision.
  await writeRef(folder, revision, listing.commit);
  return snapshot;
}

function fileUrl(repo: HubRepository, commit: string, path: string, hubUrl = HUB_URL): string {
  const prefix = repo.type === "model" ? "" : `${repo.type}s/`;
  return `${hubUrl}/${prefix}${repo.name}/resolve/${commit}/${
    path.split("/").map(encodeURIComponent).join("/")
  }`;
}

/** Symbolic links as all Hugging Face tools make them; a copy where there are none. */
async function linkInto(path: string, blob: string): Promise<void> {
  if (await Deno.stat(path).then(() => true, () => false)) return;
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.remove(path).catch(() => {});
  try {
    await Deno.symlink(relative(dirname(path), blob), path);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return;
    const temporary = `${path}.${crypto.randomUUID()}.tmp`;
    await Deno.copyFile(blob, temporary);
    await Deno.rename(temporary, path);
  }
}
