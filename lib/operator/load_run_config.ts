/** Reads a run configuration file; run-config.md. */
import { PsycheError } from "../error.ts";
import { parseRunConfig } from "../protocol/run_config.ts";

/** @throws PsycheError CONFIG_FILE_UNREADABLE, and the errors of `parseRunConfig` */
export async function loadRunConfig(
  path: string,
  signal?: AbortSignal,
): Promise<ReturnType<typeof parseRunConfig>> {
  let source: string;
  try {
    source = await Deno.readTextFile(path, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw new PsycheError(
      "CONFIG_FILE_UNREADABLE",
      `The configuration file ${path} cannot be read ` +
        `(${
          error instanceof Deno.errors.NotFound ? "no such file" : "no access"
        }); check the path.`,
      { cause: error },
    );
  }
  return parseRunConfig(source, path);
}
