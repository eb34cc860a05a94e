/** Putting a checkpoint into a bucket: docs/protocol/client-lifecycle.md section 8.4. */
import { join } from "node:path";
import { PsycheError } from "../../error.ts";
import type { GcsRepo } from "../../protocol/coordinator_state.ts";
import { withRetries } from "../data/retries.ts";
import { UPLOAD_RETRIES, uploadLimit } from "../upload_limit.ts";
import { bucketUrl, type GcsAccess, gcsDocument, gcsRequest, uploadUrl } from "./gcs_access.ts";
import { checkName, gcsName, objectName } from "./gcs_download.ts";
import { GCS_KEY_FILE_VARIABLE, GCS_TOKEN_VARIABLE } from "./gcs_token.ts";
import { formatManifest, type GcsFile, type GcsManifest, MANIFEST } from "./gcs_manifest.ts";

export interface GcsUploadOptions extends GcsAccess {
  /** Pause in milliseconds before the n-th repetition of a failed request. */
  pause?: (retry: number) => number;
  signal?: AbortSignal;
}

/** Replacing an object is creating and deleting. */
const PERMISSIONS = ["storage.objects.create", "storage.objects.delete"];

/**
 * Makes sure that the token may write, before anybody relies on it.
 *
 * @throws PsycheError `GCS_NAME_INVALID`, `GCS_ACCESS_DENIED`, `GCS_NOT_FOUND`, `GCS_UNAVAILABLE`
 */
export async function checkUploadBucket(repo: GcsRepo, options: GcsUploadOptions): Promise<void> {
  checkName(repo);
  requireToken(repo, options);
  const query = PERMISSIONS.map((permission) => `permissions=${permission}`).join("&");
  const url = bucketUrl(options, repo.bucket, `/iam/testPermissions?${query}`);
  const { document } = await withRetries(() => gcsDocument(url, options, options.signal), {
    retries: UPLOAD_RETRIES,
    pause: options.pause,
    code: "GCS_UNAVAILABLE",
    signal: options.signal,
  });
  const granted = (document as { permissions?: unknown } | null)?.permissions;
  const missing = PERMISSIONS.filter((name) => !Array.isArray(granted) || !granted.includes(name));
  if (missing.length === 0) return;
  throw new PsycheError(
    "GCS_ACCESS_DENIED",
    `The token in ${GCS_TOKEN_VARIABLE} lacks ${
      missing.join(" and ")
    } in bucket ${repo.bucket}; grant it.`,
  );
}

/**
 * Uploads the files of a directory below the prefix, the manifest last: whoever reads it finds all.
 *
 * @throws PsycheError as {@linkcode checkUploadBucket}
 */
export async function uploadToGcs(
  directory: string,
  repo: GcsRepo,
  about: Omit<GcsManifest, "files">,
  options: GcsUploadOptions,
): Promise<void> {
  checkName(repo);
  requireToken(repo, options);
  const files: GcsFile[] = [];
  for await (const { name, isFile } of Deno.readDir(directory)) {
    if (!isFile) continue;
    const path = join(directory, name);
    const { size } = await Deno.stat(path);
    const open = async () => (await Deno.open(path)).readable;
    const generation = await upload(repo, name, size, open, options);
    files.push({ path: name, generation, size });
  }
  const manifest = new TextEncoder().encode(formatManifest({ ...about, files }, Date.now()));
  await upload(repo, MANIFEST, manifest.length, () => Promise.resolve(manifest), options);
}

/** Sends one object; returns its generation. */
async function upload(
  repo: GcsRepo,
  file: string,
  size: number,
  open: () => Promise<BodyInit>,
  options: GcsUploadOptions,
): Promise<string> {
  const { signal, pause } = options;
  const url = uploadUrl(options, repo.bucket, objectName(repo, file));
  const type = file.endsWith(".json") ? "application/json" : "application/octet-stream";
  return await withRetries(async () => {
    const headers = { "content-type": type };
    const init = { method: "POST", headers, body: await open() };
    const response = await gcsRequest(url, init, options, uploadLimit(size, signal));
    const stored = await response.json().catch(() => null);
    const generation = String(stored?.generation);
    if (/^\d{1,20}$/.test(generation) && Number(stored.size) === size) return generation;
    throw new PsycheError(
      "GCS_UNAVAILABLE",
      `${gcsName(repo)} took ${stored?.size} of ${size} bytes of ${file}; try again.`,
    );
  }, { retries: UPLOAD_RETRIES, pause, code: "GCS_UNAVAILABLE", signal });
}

function requireToken(repo: GcsRepo, { token }: GcsAccess): void {
  if (token !== undefined) return;
  throw new PsycheError(
    "GCS_ACCESS_DENIED",
    `Uploading to ${
      gcsName(repo)
    } needs an account; set ${GCS_KEY_FILE_VARIABLE} to its key file, ` +
      `or ${GCS_TOKEN_VARIABLE} to an access token.`,
  );
}
