/** Putting a checkpoint into a repository of the Hub, over the Hub's own client library. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { PsycheError } from "../../error.ts";
import { withRetries } from "../data/retries.ts";
import { isStandardWeights } from "../model/select_model_files.ts";
import { INDEX } from "../model/weight_files.ts";
import { UPLOAD_RETRIES, uploadLimit } from "../upload_limit.ts";
import { COMMIT, type HubRepository, repositoryFolder } from "./hub_cache.ts";
import { type HubAccess, hubError, listHubRepository } from "./hub_listing.ts";

export interface HubUploadOptions extends HubAccess {
  /** Pause in milliseconds before the n-th repetition of a failed upload. */
  pause?: (retry: number) => number;
  signal?: AbortSignal;
}

/**
 * Makes sure that the repository is there and the token may see it, before anybody relies on it.
 *
 * @throws PsycheError `HUB_NAME_INVALID`, `HUB_ACCESS_DENIED`, `HUB_NOT_FOUND`, `HUB_UNAVAILABLE`
 */
export async function checkUploadRepository(
  name: string,
  { signal, ...access }: HubUploadOptions,
): Promise<void> {
  const repo = modelRepository(name);
  requireToken(repo, access);
  await listHubRepository(repo, "main", access, signal);
}

/**
 * Uploads the files of a directory in one commit to `main` (docs/protocol/client-lifecycle.md section
 * 8.3). Files that the repository has already, by their hash, are not sent again. Weights that were
 * split in another way before go with the same commit: an old index would hide the new weights.
 *
 * @returns the commit, 40 hex digits
 * @throws PsycheError `HUB_NAME_INVALID`, `HUB_ACCESS_DENIED`, `HUB_NOT_FOUND`, `HUB_UNAVAILABLE`,
 * `HUB_ANSWER_INVALID`
 */
export async function uploadToHub(
  directory: string,
  name: string,
  message: string,
  { signal, pause, ...access }: HubUploadOptions,
): Promise<string> {
  const repo = modelRepository(name);
  requireToken(repo, access);
  const files: { path: string; content: URL }[] = [];
  let bytes = 0;
  for await (const entry of Deno.readDir(directory)) {
    if (!entry.isFile) continue;
    const path = join(directory, entry.name);
    bytes += (await Deno.stat(path)).size;
    files.push({ path: entry.name, content: pathToFileURL(path) });
  }
  // Only those who use the Hub load its client.
  const { commit } = await import("@huggingface/hub");
  return await withRetries(async () => {
    const { files: there } = await listHubRepository(repo, "main", access, signal);
    const stale = there.map(({ path }) => path).filter((path) =>
      (isStandardWeights(path) || path === INDEX) && !files.some((file) => file.path === path)
    );
    try {
      const done = await commit({
        repo,
        title: message,
        operations: [
          ...files.map((file) => ({ operation: "addOrUpdate" as const, ...file })),
          ...stale.map((path) => ({ operation: "delete" as const, path })),
        ],
        accessToken: access.token,
        hubUrl: access.hubUrl,
        fetch: access.fetch,
        // Plain uploads need nothing but fetch; the Hub takes them for every repository.
        useXet: false,
        abortSignal: uploadLimit(bytes, signal),
      });
      const oid = done?.commit.oid ?? "";
      if (COMMIT.test(oid)) return oid;
      throw new PsycheError(
        "HUB_ANSWER_INVALID",
        `The Hub calls the commit to ${name} "${oid}"; look at the repository and try again.`,
      );
    } catch (error) {
      signal?.throwIfAborted();
      throw hubError(repo, "main", error);
    }
  }, { retries: UPLOAD_RETRIES, pause, code: "HUB_UNAVAILABLE", signal });
}

function modelRepository(name: string): HubRepository {
  const repo: HubRepository = { type: "model", name };
  // Says no to what is no name.
  repositoryFolder("", repo);
  return repo;
}

function requireToken({ name }: HubRepository, { token }: HubAccess): void {
  if (token !== undefined) return;
  throw new PsycheError(
    "HUB_ACCESS_DENIED",
    `Uploading to ${name} needs a token of the Hugging Face Hub; set HF_TOKEN to one that may write.`,
  );
}
