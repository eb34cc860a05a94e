/** Which files of a model directory hold its weights. */
import { basename, join } from "node:path";
import { PsycheError } from "../../error.ts";

/** Names the file of every tensor, where there are several files. */
export const INDEX = "model.safetensors.index.json";

/**
 * Names of the weight files in a directory: those that the index lists (a directory may hold the same
 * weights in other forms too), without an index all `*.safetensors`. Sorted.
 *
 * @throws PsycheError `MODEL_FILES_MISSING` when there are none, or not all of the index
 */
export async function weightFiles(directory: string): Promise<string[]> {
  const there = new Set<string>();
  for await (const { name } of Deno.readDir(directory)) there.add(name);
  const wanted = there.has(INDEX)
    ? indexedFiles(await Deno.readTextFile(join(directory, INDEX)), directory)
    : [...there].filter((name) => name.endsWith(".safetensors"));
  const missing = wanted.filter((name) => !there.has(name));
  if (wanted.length === 0 || missing.length > 0) {
    const what = missing.length === 0
      ? "no .safetensors file"
      : `not ${missing[0]}, which its index names`;
    throw new PsycheError(
      "MODEL_FILES_MISSING",
      `${directory} holds ${what}; fetch the model's files again.`,
    );
  }
  return wanted.sort();
}

function indexedFiles(json: string, directory: string): string[] {
  try {
    const map: Record<string, unknown> = JSON.parse(json).weight_map;
    const names = new Set(Object.values(map));
    // A path would lead out of the directory.
    const isName = (name: unknown): name is string =>
      typeof name === "string" && name.endsWith(".safetensors") && basename(name) === name;
    const list = [...names];
    if (list.every(isName)) return list;
    throw new Error("a file name is none");
  } catch (cause) {
    throw new PsycheError(
      "MODEL_FILES_MISSING",
      `${INDEX} in ${directory} lists no weight files; fetch the model's files again.`,
      { cause },
    );
  }
}
