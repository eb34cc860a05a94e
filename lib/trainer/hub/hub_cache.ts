/**
 * The cache that all Hugging Face tools of a machine share: `<cache>/models--owner--name/` with `refs/`
 * (names of commits), `snapshots/<commit>/` (the files) and `blobs/` (their content, by hash).
 */
import { join } from "node:path";
import { PsycheError } from "../../error.ts";

export interface HubRepository {
  type: "model" | "dataset";
  /** `owner/name`. */
  name: string;
}

export const COMMIT = /^[0-9a-f]{40}$/;

/**
 * Where the cache is, by the variables that every Hugging Face tool obeys.
 *
 * @param environment looks a variable up
 */
export function hubCacheDirectory(environment: (name: string) => string | undefined): string {
  const given = environment("HF_HUB_CACHE") ?? environment("HUGGINGFACE_HUB_CACHE");
  if (given) return given;
  const home = environment("HF_HOME");
  if (home) return join(home, "hub");
  const cache = environment("XDG_CACHE_HOME") ||
    join(environment("HOME") || environment("USERPROFILE") || ".", ".cache");
  return join(cache, "huggingface", "hub");
}

/**
 * Folder of one repository in the cache.
 *
 * @throws PsycheError `HUB_NAME_INVALID` for a name that is none, such as a path
 */
export function repositoryFolder(cacheDirectory: string, { type, name }: HubRepository): string {
  if (!/^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/.test(name) || name.includes("..")) {
    throw new PsycheError(
      "HUB_NAME_INVALID",
      `"${name}" is neither a directory here nor the name of a Hugging Face repository; use owner/name.`,
    );
  }
  return join(cacheDirectory, [`${type}s`, ...name.split("/")].join("--"));
}

/**
 * The snapshot of a revision (branch, tag or commit) that the cache holds, perhaps not all of it;
 * null when there is none.
 */
export async function cachedSnapshot(folder: string, revision: string): Promise<string | null> {
  const commit = COMMIT.test(revision)
    ? revision
    : (await Deno.readTextFile(refPath(folder, revision)).catch(() => "")).trim();
  if (!COMMIT.test(commit)) return null;
  const snapshot = join(folder, "snapshots", commit);
  const info = await Deno.stat(snapshot).catch(() => null);
  return info?.isDirectory ? snapshot : null;
}

/** Remembers that `revision` meant `commit`. */
export async function writeRef(folder: string, revision: string, commit: string): Promise<void> {
  if (COMMIT.test(revision)) return;
  const path = refPath(folder, revision);
  await Deno.mkdir(join(path, ".."), { recursive: true });
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  await Deno.writeTextFile(temporary, commit);
  await Deno.rename(temporary, path);
}

function refPath(folder: string, revision: string): string {
  if (!/^[\w.\/-]+$/.test(revision) || revision.split("/").some((part) => /^\.*$/.test(part))) {
    throw new PsycheError(
      "HUB_NAME_INVALID",
      `"${revision}" is no revision of a repository; use a branch, a tag or a commit.`,
    );
  }
  return join(folder, "refs", revision);
}
