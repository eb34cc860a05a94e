/** What a Hugging Face repository holds, over the Hub's own client library. */
import { PsycheError } from "../../error.ts";
import type { HubRepository } from "./hub_cache.ts";

/** How the Hub is reached. */
export interface HubAccess {
  fetch: typeof fetch;
  /** Access token (`hf_...`) for repositories that are not public. */
  token?: string;
  /** Default: the public Hub. */
  hubUrl?: string;
}

export const HUB_URL = "https://huggingface.co";

export interface HubFile {
  path: string;
  /** Bytes. */
  size: number;
  /** Content hash, hex: SHA-256 of large files, git's SHA-1 of a blob of the others. */
  hash: { kind: "sha256" | "git"; hex: string };
}

export interface HubListing {
  /** 40 hex digits. */
  commit: string;
  files: HubFile[];
}

/** Files listed at most; more make no sense for a model or a training set. */
const MAX_FILES = 100_000;

/**
 * Commit that a revision means now, and its files.
 *
 * @throws PsycheError `HUB_ACCESS_DENIED`, `HUB_NOT_FOUND`, `HUB_UNAVAILABLE`, `HUB_ANSWER_INVALID`
 */
export async function listHubRepository(
  repo: HubRepository,
  revision: string,
  { fetch, token, hubUrl = HUB_URL }: HubAccess,
  signal?: AbortSignal,
): Promise<HubListing> {
  if (token !== undefined && !token.startsWith("hf_")) {
    throw new PsycheError(
      "HUB_ACCESS_DENIED",
      'The token of the Hugging Face Hub does not begin with "hf_"; correct HF_TOKEN or unset it.',
    );
  }
  // Only those who use the Hub load its client.
  const { datasetInfo, listFiles, modelInfo } = await import("@huggingface/hub");
  const access = {
    hubUrl,
    accessToken: token,
    fetch: (input: string | URL | Request, init?: RequestInit) =>
      fetch(input, { ...init, signal: signal ?? null }),
  };
  try {
    const query = { name: repo.name, revision, additionalFields: ["sha" as const], ...access };
    const { sha } = repo.type === "model" ? await modelInfo(query) : await datasetInfo(query);
    if (!/^[0-9a-f]{40}$/.test(sha)) throw answerInvalid(repo, `its commit is "${sha}"`);
    const files: HubFile[] = [];
    for await (const entry of listFiles({ repo, revision: sha, recursive: true, ...access })) {
      if (entry.type !== "file") continue;
      const hash = entry.lfs !== undefined
        ? { kind: "sha256" as const, hex: entry.lfs.oid }
        : { kind: "git" as const, hex: entry.oid ?? "" };
      files.push({ path: checkedPath(repo, entry.path), size: checkedSize(repo, entry), hash });
      if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hash.hex)) {
        throw answerInvalid(repo, `${entry.path} has no content hash`);
      }
      if (files.length > MAX_FILES) {
        throw answerInvalid(repo, `it has more than ${MAX_FILES} files`);
      }
    }
    return { commit: sha, files };
  } catch (error) {
    signal?.throwIfAborted();
    throw hubError(repo, revision, error);
  }
}

/** Paths come from others and are joined to a directory: nothing may lead out of it. */
function checkedPath(repo: HubRepository, path: string): string {
  const parts = path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..") || /[\\\0:]/.test(path)) {
    throw answerInvalid(repo, `it has a file "${path}"`);
  }
  return path;
}

function checkedSize(repo: HubRepository, { path, size }: { path: string; size: number }): number {
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw answerInvalid(repo, `${path} has the size ${size}`);
}

function answerInvalid({ name }: HubRepository, reason: string): PsycheError {
  return new PsycheError(
    "HUB_ANSWER_INVALID",
    `The Hub's answer about ${name} cannot be used: ${reason}; check the repository.`,
  );
}

/** A failure of the Hub or on the way to it, by what its user can do. */
export function hubError(repo: HubRepository, revision: string, error: unknown): PsycheError {
  if (error instanceof PsycheError) return error;
  const what = `the ${repo.type} ${repo.name} at ${revision}`;
  const status = (error as { statusCode?: unknown }).statusCode;
  if (status === 401 || status === 403) {
    return new PsycheError(
      "HUB_ACCESS_DENIED",
      `The Hub denies access to ${what} (status ${status}); check its name, accept its terms, and set HF_TOKEN to a token that may read it.`,
      { cause: error },
    );
  }
  if (status === 404) {
    return new PsycheError(
      "HUB_NOT_FOUND",
      `The Hub has no such thing as ${what}; check name and revision.`,
      { cause: error },
    );
  }
  // Addresses of the storage are signed: what follows the question mark is a secret.
  const reason = (error instanceof Error ? error.message : String(error)).replace(/\?\S+/g, "");
  return new PsycheError(
    "HUB_UNAVAILABLE",
    `The Hub cannot be reached for ${what} (${
      reason.split("\n")[0]
    }); check the connection or put the files into the cache with predownload.`,
    { cause: error },
  );
}
