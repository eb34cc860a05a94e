/** A model on disk: a directory with config.json, *.safetensors and perhaps tokenizer.json. */
import { dirname, join } from "node:path";
import { PsycheError } from "../../error.ts";
import { makeParent, unwritable } from "../atomic_file.ts";
import { readSafetensors } from "../safetensors.ts";
import type { ModelFiles, WeightFormat } from "../trainer.ts";
import { type LlamaConfig, parameterShapes, parseLlamaConfig } from "./llama_config.ts";
import { weightFiles } from "./weight_files.ts";
import { weightsSha256 } from "./weights_sha256.ts";
import { writeWeightFiles } from "./write_weight_files.ts";

export interface Parameter {
  name: string;
  shape: number[];
  data: Float32Array<ArrayBuffer>;
}

export interface Model {
  config: LlamaConfig;
  files: ModelFiles;
  /** In ascending byte order of the names. */
  parameters: Parameter[];
  /** Further files by name that checkpoints carry on (client-lifecycle.md section 4). */
  extras?: ReadonlyMap<string, string>;
}

/** Small files that other tools expect beside the weights. */
const EXTRAS = ["tokenizer_config.json", "special_tokens_map.json", "generation_config.json"];

/**
 * Puts a model together and checks that every parameter of its configuration is there, in its
 * shape. Tensors that the configuration does not know are left out.
 *
 * @throws PsycheError `MODEL_CONFIG_INVALID`, `MODEL_PARAMETER_INVALID`
 */
export function assembleModel(
  files: ModelFiles,
  tensors: ReadonlyMap<string, { data: Float32Array<ArrayBuffer>; shape?: readonly number[] }>,
): Model {
  const config = parseLlamaConfig(files.config);
  for (const name of tensors.keys()) {
    // Left out, it would give another model without anybody noticing.
    if (!name.endsWith(".bias")) continue;
    throw new PsycheError(
      "MODEL_PARAMETER_INVALID",
      `The weights hold ${name}, but Llama models here have no biases; use a model without them.`,
    );
  }
  const parameters = parameterShapes(config).map(({ name, shape }) => {
    const found = tensors.get(name);
    const length = shape.reduce((a, b) => a * b, 1);
    if (
      found === undefined || found.data.length !== length ||
      (found.shape !== undefined && found.shape.join() !== shape.join())
    ) {
      const got = found === undefined
        ? "is missing"
        : `has shape [${found.shape ?? found.data.length}]`;
      throw new PsycheError(
        "MODEL_PARAMETER_INVALID",
        `Parameter ${name} ${got} where config.json asks for [${shape}]; ` +
          "use weights and config.json of the same model.",
      );
    }
    return { name, shape, data: found.data };
  });
  return { config, files, parameters };
}

/**
 * Loads a model directory. The weight files are those of `model.safetensors.index.json` where there
 * is one, otherwise all `*.safetensors` files.
 *
 * @throws PsycheError `MODEL_NOT_FOUND` when config.json cannot be read, `MODEL_FILES_MISSING`, and
 * the errors of {@linkcode assembleModel} and {@linkcode readSafetensors}.
 */
export async function readModelDirectory(directory: string): Promise<Model> {
  const config = await readConfigText(directory);
  // A configuration that cannot be computed is refused before gigabytes are read.
  parseLlamaConfig(config);
  const tokenizer = await readIfThere(join(directory, "tokenizer.json"));
  const tensors = new Map<string, { data: Float32Array<ArrayBuffer>; shape: readonly number[] }>();
  for (const file of await weightFiles(directory)) {
    for (const [name, tensor] of await readSafetensors(join(directory, file))) {
      tensors.set(name, tensor);
    }
  }
  const extras = new Map<string, string>();
  for (const name of EXTRAS) {
    const text = await readIfThere(join(directory, name));
    if (text !== null) extras.set(name, text);
  }
  return { ...assembleModel({ config, tokenizer }, tensors), extras };
}

/** The text of a model directory's config.json. @throws PsycheError `MODEL_NOT_FOUND` */
export async function readConfigText(directory: string): Promise<string> {
  try {
    return await Deno.readTextFile(join(directory, "config.json"));
  } catch (cause) {
    throw new PsycheError(
      "MODEL_NOT_FOUND",
      `No config.json can be read in ${directory}; give the directory of a model.`,
      { cause },
    );
  }
}

/**
 * Writes a model into a directory that appears complete or not at all: docs/protocol/client-lifecycle.md
 * section 8.1.
 *
 * @throws PsycheError `MODEL_DIRECTORY_EXISTS` when `directory` is there and not empty,
 * `OUTPUT_UNWRITABLE`
 */
export async function writeModelDirectory(
  directory: string,
  model: Pick<Model, "files" | "extras"> & { parameters: readonly Parameter[] },
  format: WeightFormat = {},
): Promise<void> {
  await makeParent(directory);
  const temporary = await Deno.makeTempDir({ dir: dirname(directory), prefix: ".model-" })
    .catch((cause) => unwritable(directory, cause));
  try {
    await Deno.writeTextFile(join(temporary, "config.json"), model.files.config);
    if (model.files.tokenizer !== null) {
      await Deno.writeTextFile(join(temporary, "tokenizer.json"), model.files.tokenizer);
    }
    for (const [name, text] of model.extras ?? []) {
      await Deno.writeTextFile(join(temporary, name), text);
    }
    await writeWeightFiles(temporary, model.parameters, format);
    // Temporary directories are private; a checkpoint is as readable as any other file.
    await Deno.chmod(temporary, 0o755);
    await Deno.rename(temporary, directory);
  } catch (cause) {
    await Deno.remove(temporary, { recursive: true }).catch(() => {});
    if (cause instanceof PsycheError || !(await isThere(directory))) throw cause;
    throw new PsycheError(
      "MODEL_DIRECTORY_EXISTS",
      `${directory} already exists; choose a directory that does not exist yet.`,
      { cause },
    );
  }
}

/** SHA-256 of the weights in a directory as `Trainer.weightsSha256`, hex. @throws as `readModelDirectory` */
export async function weightsOfDirectory(directory: string): Promise<string> {
  return weightsSha256((await readModelDirectory(directory)).parameters);
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
