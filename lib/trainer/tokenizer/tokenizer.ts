/**
 * Any standard `tokenizer.json`, as the trainer uses it.
 */
import { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import { PsycheError } from "../../error.ts";

export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocabSize: number;
  /** Ids of a text; no special tokens are added. */
  encode(text: string): number[];
  /**
   * Text of ids. Bytes that are not UTF-8 become U+FFFD; ids without a token, of which models have some
   * whose vocabulary was rounded up, are left out.
   */
  decode(ids: readonly number[]): string;
  /** Id of exactly this token, special ones included. */
  idOf(token: string): number | undefined;
}

/**
 * Loads the text of a `tokenizer.json`.
 *
 * @throws PsycheError `TOKENIZER_INVALID` when it is not JSON or not a kind that can be loaded
 */
export function loadTokenizer(json: string): Tokenizer {
  let tokenizer: HubTokenizer;
  let vocabSize: number;
  try {
    // Cleaning up spaces would break the exact round trip.
    tokenizer = new HubTokenizer(JSON.parse(json), { clean_up_tokenization_spaces: false });
    vocabSize = 0;
    for (const id of tokenizer.get_vocab(true).values()) vocabSize = Math.max(vocabSize, id + 1);
  } catch (cause) {
    throw new PsycheError(
      "TOKENIZER_INVALID",
      `A tokenizer.json of ${json.length} characters cannot be loaded; fetch it again or convert it to the tokenizers format.`,
      { cause },
    );
  }
  return {
    vocabSize,
    encode: (text) => text === "" ? [] : tokenizer.encode(text, { add_special_tokens: false }).ids,
    decode(ids) {
      const known = ids.filter((id) => tokenizer.id_to_token(id) !== undefined);
      return known.length === 0 ? "" : tokenizer.decode(known);
    },
    idOf: (token) => tokenizer.token_to_id(token),
  };
}

/** Loads a tokenizer.json file. @throws PsycheError `TOKENIZER_INVALID` */
export async function readTokenizer(path: string): Promise<Tokenizer> {
  try {
    return loadTokenizer(await Deno.readTextFile(path));
  } catch (cause) {
    if (cause instanceof PsycheError) throw cause;
    throw new PsycheError(
      "TOKENIZER_INVALID",
      `${path} cannot be read; give the path of a tokenizer.json.`,
      { cause },
    );
  }
}
