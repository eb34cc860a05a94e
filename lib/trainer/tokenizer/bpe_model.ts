/**
 * A byte-level BPE vocabulary and its standard file form.
 *
 * Ids: 0 is the end-of-text token, 1 to 256 are the bytes, then one id per merge in order.
 */
import { BYTE_CHARACTERS } from "./byte_alphabet.ts";

export interface BpeModel {
  /** Pairs of ids; merge `i` makes id `FIRST_MERGE_ID + i`. */
  merges: ReadonlyArray<readonly [number, number]>;
}

export const END_OF_TEXT = "<|endoftext|>";
export const END_OF_TEXT_ID = 0;
export const FIRST_BYTE_ID = 1;
export const FIRST_MERGE_ID = FIRST_BYTE_ID + 256;

/** How text is cut before merging; merges never cross these borders. The usual byte-level rule. */
export const WORD_PATTERN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** Number of ids of a model. */
export function bpeVocabSize(model: BpeModel): number {
  return FIRST_MERGE_ID + model.merges.length;
}

/** Text of a Hugging Face `tokenizer.json` for a model. */
export function bpeTokenizerJson(model: BpeModel): string {
  const tokens = [END_OF_TEXT, ...BYTE_CHARACTERS];
  const merges = model.merges.map(([left, right]) => {
    tokens.push(tokens[left] + tokens[right]);
    return `${tokens[left]} ${tokens[right]}`;
  });
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: true,
  };
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [{
      id: END_OF_TEXT_ID,
      content: END_OF_TEXT,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    }],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  });
}
