/** Which programs this machine deployed on a cluster: `runs/<cluster>/programs.json`. */
import { PublicKey } from "@solana/web3.js";
import { join } from "node:path";
import type { ProgramIds } from "../chain/programs.ts";
import { writeJsonFile } from "./json_file.ts";

export interface RecordedProgram {
  programId: string;
  /** SHA-256 of the deployed bytes, hex. */
  sha256: string;
  /** Last deploying or upgrading transaction; null when the bytes were there already. */
  signature: string | null;
  /** File of the program's keypair when the toolkit made it. */
  keyFile: string | null;
}

export interface ProgramsRecord {
  cluster: string;
  genesisHash: string;
  authorizer: RecordedProgram;
  coordinator: RecordedProgram;
  /** Absent when only the two above were deployed. */
  treasurer?: RecordedProgram;
}

export function programsRecordPath(directory: string, cluster: string): string {
  return join(directory, cluster, "programs.json");
}

/** The record; null when there is none, or one of an earlier life of the cluster. */
export async function readProgramsRecord(
  directory: string,
  cluster: string,
  genesisHash: string,
): Promise<ProgramsRecord | null> {
  try {
    const text = await Deno.readTextFile(programsRecordPath(directory, cluster));
    const record = JSON.parse(text) as ProgramsRecord;
    recordedIds(record);
    return record.genesisHash === genesisHash ? record : null;
  } catch (error) {
    // A record is a convenience: a broken one must not stand in the way of explicit ids.
    if (error instanceof Deno.errors.PermissionDenied) throw error;
    return null;
  }
}

export function recordedIds(record: ProgramsRecord | null): Partial<ProgramIds> {
  return record === null ? {} : {
    authorizer: new PublicKey(record.authorizer.programId),
    coordinator: new PublicKey(record.coordinator.programId),
    ...(record.treasurer ? { treasurer: new PublicKey(record.treasurer.programId) } : {}),
  };
}

export async function writeProgramsRecord(
  directory: string,
  record: ProgramsRecord,
): Promise<void> {
  await writeJsonFile(programsRecordPath(directory, record.cluster), record);
}
