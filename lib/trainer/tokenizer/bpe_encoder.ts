/**
 * Encodes whole corpora: words repeat, so each is merged once and then looked up. The ids are those
 * of a standard tokenizer loaded from the same vocabulary.
 */
import { type BpeModel, FIRST_BYTE_ID, FIRST_MERGE_ID, WORD_PATTERN } from "./bpe_model.ts";
import { mergePair } from "./train_bpe.ts";

const STRIDE = 65_536;

/** Function from text to ids for one model; it keeps its word cache between calls. */
export function bpeEncoder(model: BpeModel): (text: string) => number[] {
  const ranks = new Map(
    model.merges.map(([left, right], i) => [left * STRIDE + right, FIRST_MERGE_ID + i]),
  );
  const cache = new Map<string, number[]>();
  const encoder = new TextEncoder();

  function encodeWord(word: string): number[] {
    let symbols = Array.from(encoder.encode(word), (byte) => FIRST_BYTE_ID + byte);
    while (symbols.length > 1) {
      // Merged ids grow with the rank: the smallest one is the merge that was learned first.
      let best = Infinity;
      let at = 0;
      for (let i = 1; i < symbols.length; i++) {
        const merged = ranks.get(symbols[i - 1] * STRIDE + symbols[i]);
        if (merged !== undefined && merged < best) {
          best = merged;
          at = i;
        }
      }
      if (best === Infinity) break;
      symbols = mergePair(symbols, symbols[at - 1], symbols[at], best);
    }
    return symbols;
  }

  return (text) => {
    const ids: number[] = [];
    for (const word of text.match(WORD_PATTERN) ?? []) {
      let symbols = cache.get(word);
      if (symbols === undefined) cache.set(word, symbols = encodeWord(word));
      for (const id of symbols) ids.push(id);
    }
    return ids;
  };
}
