/** Raw token files out of text: docs/protocol/training-math.md section 6.2. */
import { PsycheError } from "../../error.ts";
import { writeAll, writeFileAtomically } from "../atomic_file.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { TextPart } from "./text_documents.ts";

export interface TokenizeResult {
  documents: number;
  characters: number;
  tokens: number;
  /** Size of the file. */
  bytes: number;
}

export interface TokenizeOptions {
  tokenizer: Tokenizer;
  /** Bytes of one little-endian token. */
  tokenBytes: 2 | 4;
  /** Token written after every document; null for none. */
  separator: number | null;
  /** Told about every part. */
  onProgress?: (now: TokenizeResult & { sourceBytes: number }) => void;
  signal?: AbortSignal;
}

/** Tokens of text that end documents, by the models that use them. */
const END_TOKENS = [
  "<|endoftext|>",
  "<|end_of_text|>",
  "</s>",
  "<|im_end|>",
  "<eos>",
  "<|endofsentence|>",
];

/**
 * The id of a special token; without a name, of the one that usually ends documents.
 *
 * @throws PsycheError `SEPARATOR_UNKNOWN`
 */
export function separatorId(tokenizer: Tokenizer, name?: string): number {
  for (const token of name === undefined ? END_TOKENS : [name]) {
    const ids = tokenizer.encode(token);
    if (ids.length === 1) return ids[0];
  }
  throw new PsycheError(
    "SEPARATOR_UNKNOWN",
    `${
      name === undefined ? "None of the usual end tokens is a" : `"${name}" is no`
    } single token of this tokenizer; name the token that ends documents, or none.`,
  );
}

/**
 * Writes the tokens of all documents to `path`, which appears complete or not at all.
 *
 * @throws PsycheError `TOKENIZER_TOO_LARGE` when ids do not fit `tokenBytes`, `TEXT_INVALID`,
 * `OUTPUT_UNWRITABLE`
 */
export async function tokenizeDocuments(
  documents: AsyncIterable<TextPart>,
  path: string,
  { tokenizer, tokenBytes, separator, onProgress, signal }: TokenizeOptions,
): Promise<TokenizeResult> {
  if (tokenizer.vocabSize > 2 ** (8 * tokenBytes)) {
    throw new PsycheError(
      "TOKENIZER_TOO_LARGE",
      `Ids up to ${tokenizer.vocabSize - 1} do not fit ${tokenBytes} bytes; write 4-byte tokens.`,
    );
  }
  const result: TokenizeResult = { documents: 0, characters: 0, tokens: 0, bytes: 0 };
  await writeFileAtomically(path, async (file) => {
    for await (const { text, end, bytes: sourceBytes } of documents) {
      signal?.throwIfAborted();
      const ids = tokenizer.encode(text);
      if (end && separator !== null) ids.push(separator);
      const packed = tokenBytes === 2 ? Uint16Array.from(ids) : Uint32Array.from(ids);
      await writeAll(file, new Uint8Array(packed.buffer));
      result.documents += Number(end);
      result.characters += text.length;
      result.tokens += ids.length;
      result.bytes += packed.byteLength;
      onProgress?.({ ...result, sourceBytes });
    }
    if (result.tokens === 0) {
      throw new PsycheError("TEXT_INVALID", `There is no text to write to ${path}; give some.`);
    }
  });
  return result;
}
