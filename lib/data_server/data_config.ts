/** The data server's file, `data.toml`; docs/protocol/training-math.md section 6.7. */
import { dirname, resolve } from "node:path";
import { parse } from "smol-toml";
import { PsycheError } from "../error.ts";
import type { Shuffle } from "../protocol/coordinator_state.ts";
import { TomlFields, type TomlReport } from "../protocol/toml_fields.ts";

export interface DataConfig {
  /** Directory with token files or preprocessed parquet files. */
  directory: string;
  /** Null when the file does not say: only raw token files need it. */
  tokenBytes: 2 | 4 | null;
  sequenceLength: number;
  shuffle: Shuffle;
}

const TOKEN_BYTES = { TwoBytes: 2, FourBytes: 4 } as const;
const MAX_FILE = 1 << 16;
const MAX_PATH = 4096;

/**
 * Reads the file. `dir` is relative to it; `token_size` is 2, 4, `TwoBytes` or `FourBytes`; without
 * `shuffle_seed` (32 bytes) the sequences keep their order.
 *
 * @throws PsycheError `DATA_CONFIG_INVALID` listing every problem
 */
export async function loadDataConfig(path: string): Promise<DataConfig> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotFound ? "no such file" : "no access";
    throw new PsycheError(
      "DATA_CONFIG_INVALID",
      `The data configuration ${path} cannot be read (${reason}); write one with dir, token_size and seq_len.`,
      { cause },
    );
  }
  return parseDataConfig(text, path, dirname(resolve(path)));
}

/** @throws PsycheError `DATA_CONFIG_INVALID` */
export function parseDataConfig(text: string, path: string, base: string): DataConfig {
  if (text.length > MAX_FILE) throw invalid(path, [`it is longer than ${MAX_FILE} characters`]);
  const report: TomlReport = { problems: [], warnings: [] };
  const table = parseToml(text, path);
  const fields = new TomlFields("", table, report);
  const directory = fields.text("dir", MAX_PATH);
  const sequenceLength = fields.u32("seq_len");
  const tokenBytes = fields.has("token_size") ? readTokenSize(fields, table.token_size) : null;
  const shuffle: Shuffle = fields.has("shuffle_seed")
    ? { kind: "Seeded", seed: fields.bytes("shuffle_seed", 32) }
    : { kind: "DontShuffle" };
  if (report.problems.length === 0) {
    if (directory === "") fields.problem("dir", "is empty");
    if (sequenceLength === 0) fields.problem("seq_len", "0 must be at least 1");
  }
  // A misspelt key would change the data that everybody trains on.
  fields.close("refused");
  const problems = report.problems.map(({ key, message }) => `${key} ${message}`);
  if (problems.length > 0) throw invalid(path, problems);
  return { directory: resolve(base, directory), tokenBytes, sequenceLength, shuffle };
}

/** A number of bytes, or the name that run configurations use. */
function readTokenSize(fields: TomlFields, value: unknown): 2 | 4 {
  if (typeof value !== "bigint") {
    return TOKEN_BYTES[fields.choice("token_size", ["TwoBytes", "FourBytes"])];
  }
  const bytes = fields.u32("token_size");
  if (bytes === 2 || bytes === 4) return bytes;
  fields.problem("token_size", `${bytes} must be 2, 4, "TwoBytes" or "FourBytes"`);
  return 2;
}

function parseToml(text: string, path: string) {
  try {
    return parse(text, { integersAsBigInt: true });
  } catch (cause) {
    throw invalid(path, [cause instanceof Error ? cause.message.split("\n")[0] : String(cause)]);
  }
}

function invalid(path: string, problems: string[]): PsycheError {
  return new PsycheError(
    "DATA_CONFIG_INVALID",
    `The data configuration ${path} cannot be used:${
      problems.map((text) => `\n  ${text}`).join("")
    }`,
  );
}
