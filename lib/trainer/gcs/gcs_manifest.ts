/**
 * The list of a checkpoint's files, written last so that it never names a file that is not there:
 * docs/protocol/client-lifecycle.md section 8.4.
 */
import { PsycheError } from "../../error.ts";

export interface GcsFile {
  /** Name below the prefix. */
  path: string;
  /** Version of the object, a decimal number. */
  generation: string;
  /** Bytes. */
  size: number;
}

export interface GcsManifest {
  epoch: number;
  step: number;
  runId: string;
  files: GcsFile[];
}

export const MANIFEST = "manifest.json";
const MAX_FILES = 10_000;

/** @param now milliseconds since 1970 */
export function formatManifest({ epoch, step, runId, files }: GcsManifest, now: number): string {
  return JSON.stringify(
    {
      metadata: { timestamp: new Date(now).toISOString(), epoch, step, run_id: runId },
      files: files.map(({ path, generation, size }) => ({
        filename: path,
        // As a number, which is how others write it; it counts microseconds and stays exact.
        generation: Number(generation),
        size_bytes: size,
      })),
    },
    null,
    2,
  );
}

/**
 * @param source what the message calls the manifest
 * @throws PsycheError `GCS_MANIFEST_INVALID`
 */
export function parseManifest(document: unknown, source: string): GcsManifest {
  const invalid = (what: string) =>
    new PsycheError(
      "GCS_MANIFEST_INVALID",
      `${source} cannot be used: ${what}; upload the checkpoint again.`,
    );
  const { metadata, files } = record(document);
  const { epoch, step, run_id: runId } = record(metadata);
  if (!isCount(step)) throw invalid(`its step is ${step}`);
  if (!Array.isArray(files) || files.length === 0 || files.length > MAX_FILES) {
    throw invalid(`it does not list 1 to ${MAX_FILES} files`);
  }
  return {
    epoch: isCount(epoch) ? epoch : 0,
    step,
    runId: typeof runId === "string" ? runId : "",
    files: files.map((file) => {
      const { filename, generation, size_bytes } = record(file);
      return checkedFile({ path: filename, generation, size: size_bytes }, invalid);
    }),
  };
}

/** Checks what came from outside: names are joined to a directory, sizes are waited for. */
export function checkedFile(
  file: { path: unknown; generation: unknown; size: unknown },
  invalid: (what: string) => PsycheError,
): GcsFile {
  const { path, generation, size } = file;
  if (typeof path !== "string" || !/^[\w][\w.-]*$/.test(path)) {
    throw invalid(`it has a file "${path}"`);
  }
  if (!/^\d{1,20}$/.test(String(generation)) || !isCount(Number(size))) {
    throw invalid(`"${path}" has the generation ${generation} and the size ${size}`);
  }
  return { path, generation: String(generation), size: Number(size) };
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
