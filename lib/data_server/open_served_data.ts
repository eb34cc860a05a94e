/** The data a data server serves: whatever stands in its directory. */
import { join } from "node:path";
import { PsycheError } from "../error.ts";
import type { DataProvider } from "../trainer/data/data_provider.ts";
import { localProvider } from "../trainer/data/local_provider.ts";
import { TOKEN_FILE_NAME } from "../trainer/data/token_file_provider.ts";
import type { DataConfig } from "./data_config.ts";

/**
 * Raw token files if there are any, else preprocessed parquet files (docs/protocol/training-math.md
 * sections 6.2 and 6.6).
 *
 * @throws PsycheError `DATA_CONFIG_INVALID`, and the errors of the two providers
 */
export async function openServedData(
  { directory, tokenBytes, sequenceLength, shuffle }: DataConfig,
  signal?: AbortSignal,
): Promise<DataProvider> {
  if (await holdsTokenFiles(directory)) {
    if (tokenBytes !== null) {
      return await localProvider(directory, { sequenceLength, tokenBytes }, shuffle);
    }
    throw new PsycheError(
      "DATA_CONFIG_INVALID",
      `${directory} holds raw token files and the data configuration has no token_size; add token_size = 2 or 4.`,
    );
  }
  if (shuffle.kind === "Seeded") {
    throw new PsycheError(
      "DATA_CONFIG_INVALID",
      `${directory} holds preprocessed data, which is never shuffled; remove shuffle_seed.`,
    );
  }
  // Only such data needs the parquet reader.
  const { preprocessedProvider } = await import("../trainer/data/preprocessed_provider.ts");
  return await preprocessedProvider(directory, { sequenceLength }, signal);
}

async function holdsTokenFiles(directory: string): Promise<boolean> {
  try {
    if ((await Deno.stat(directory)).isFile) return true;
    for await (const { name } of Deno.readDir(directory)) {
      if (TOKEN_FILE_NAME.test(name) && (await Deno.stat(join(directory, name))).isFile) {
        return true;
      }
    }
    return false;
  } catch (cause) {
    throw new PsycheError(
      "DATA_UNAVAILABLE",
      `The data directory ${directory} cannot be listed; correct dir in the data configuration.`,
      { cause },
    );
  }
}
