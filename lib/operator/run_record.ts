/**
 * What this machine remembers of a run it created: `runs/<cluster>/<run-id>.json`, so that later
 * commands need only `--run-id`. Public facts and key *paths*; never key material.
 */
import { join } from "node:path";
import { PsycheError } from "../error.ts";
import { writeJsonFile } from "./json_file.ts";

export interface RunRecord {
  runId: string;
  cluster: string;
  genesisHash: string;
  /** Null when the URL carries an access key, which does not belong in a file. */
  rpcUrl: string | null;
  wsUrl: string | null;
  programIds: { authorizer: string; coordinator: string; treasurer?: string };
  coordinatorInstance: string;
  coordinatorAccount: string;
  mainAuthority: string;
  joinAuthority: string;
  /** Key file of the main authority, when the key came from a file. */
  walletPath: string | null;
  mint: string | null;
  treasurerIndex: string | null;
  clientVersion: string;
  /** `creating` until the creating transaction is confirmed. */
  status: "creating" | "created";
  signatures: Record<string, string>;
}

/** @throws PsycheError RUN_ID_INVALID for what cannot be a run id or a file name */
export function runRecordPath(directory: string, cluster: string, runId: string): string {
  if (!isPlainName(runId) || !isPlainName(cluster)) {
    throw new PsycheError(
      "RUN_ID_INVALID",
      `"${runId}" cannot name a run record file; use letters, digits, ".", "_" and "-".`,
    );
  }
  return join(directory, cluster, `${runId}.json`);
}

/** True for a name that is safe as a file name on every system. */
export function isPlainName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/.test(name) && name !== "programs";
}

/**
 * Reads the text of a run record.
 * @throws PsycheError RUN_RECORD_INVALID when it is not one
 */
export function parseRunRecord(source: string, path: string): RunRecord {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    value = null;
  }
  const record = value as Partial<RunRecord> | null;
  const texts: (keyof RunRecord)[] = ["runId", "cluster", "genesisHash", "coordinatorAccount"];
  if (
    typeof record !== "object" || record === null ||
    texts.some((key) => typeof record[key] !== "string") ||
    typeof record.programIds?.authorizer !== "string" ||
    typeof record.programIds?.coordinator !== "string"
  ) {
    throw new PsycheError(
      "RUN_RECORD_INVALID",
      `${path} is not a run record; delete it (the chain keeps the run) and give the values as flags.`,
    );
  }
  return record as RunRecord;
}

/** Reads a record; null when there is none. */
export async function readRunRecord(
  directory: string,
  cluster: string,
  runId: string,
): Promise<RunRecord | null> {
  const path = runRecordPath(directory, cluster, runId);
  try {
    return parseRunRecord(await Deno.readTextFile(path), path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Writes a record whole or not at all; returns its path. */
export async function writeRunRecord(directory: string, record: RunRecord): Promise<string> {
  const path = runRecordPath(directory, record.cluster, record.runId);
  await writeJsonFile(path, record);
  return path;
}

/** Forgets a run; no record is no error. */
export async function removeRunRecord(
  directory: string,
  cluster: string,
  runId: string,
): Promise<void> {
  await Deno.remove(runRecordPath(directory, cluster, runId)).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
