/** Training data and a fresh small model for the localnet run; made once, then kept. */
import { join } from "node:path";
import { prepareDemoCorpus } from "../trainer/data/demo_corpus.ts";
import { initModel } from "../trainer/model/init.ts";
import { nanoConfig } from "../trainer/model/llama_config.ts";

export interface DemoFiles {
  /** factbook.bin, heldout.bin, tokenizer.json. */
  dataDirectory: string;
  /** config.json, model.safetensors, tokenizer.json. */
  modelDirectory: string;
}

const VOCABULARY = 512;
/** Fixed: another seed would only shuffle which countries are held out. */
const CORPUS_SEED = 1;

/**
 * @param root the toolkit's folder for made things, normally `.psyche`
 * @param options.seed of the initial weights; each seed has a model directory of its own
 */
export async function prepareDemo(
  root: string,
  { seed = 1, signal }: { seed?: number; signal?: AbortSignal } = {},
): Promise<DemoFiles> {
  const dataDirectory = join(root, "data");
  const modelDirectory = join(root, "models", seed === 1 ? "nano" : `nano-${seed}`);
  await prepareDemoCorpus(dataDirectory, { vocabSize: VOCABULARY, seed: CORPUS_SEED, signal });
  if (!await isThere(join(modelDirectory, "config.json"))) {
    const tokenizer = await Deno.readTextFile(join(dataDirectory, "tokenizer.json"));
    await Deno.mkdir(join(root, "models"), { recursive: true });
    await initModel(modelDirectory, nanoConfig(VOCABULARY), seed, tokenizer);
  }
  return { dataDirectory, modelDirectory };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
