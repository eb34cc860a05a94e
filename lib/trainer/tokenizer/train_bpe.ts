/**
 * Byte-pair encoding from scratch: the most frequent neighbouring pair becomes a token, again and
 * again. Deterministic: among equally frequent pairs the one with the smaller ids wins.
 */
import { PsycheError } from "../../error.ts";
import { type BpeModel, FIRST_BYTE_ID, FIRST_MERGE_ID, WORD_PATTERN } from "./bpe_model.ts";

/** Ids fit two bytes in token files, and a pair of ids fits a safe integer. */
const MAX_VOCAB = 65_536;

/**
 * Trains a vocabulary of `vocabSize` ids (fewer when the text has no more pairs to merge).
 *
 * @param documents texts; pairs never cross from one to the next
 * @throws PsycheError `TOKENIZER_INVALID` when `vocabSize` is not within 257..65536
 */
export function trainBpe(documents: string | Iterable<string>, vocabSize: number): BpeModel {
  if (!Number.isInteger(vocabSize) || vocabSize < FIRST_MERGE_ID || vocabSize > MAX_VOCAB) {
    throw new PsycheError(
      "TOKENIZER_INVALID",
      `A byte-level vocabulary of ${vocabSize} is not possible; choose ${FIRST_MERGE_ID} to ${MAX_VOCAB}.`,
    );
  }
  const words = countWords(typeof documents === "string" ? [documents] : documents);
  const pairs = new PairCounts();
  words.forEach((word, index) => pairs.addWord(word, index));
  const merges: [number, number][] = [];
  while (FIRST_MERGE_ID + merges.length < vocabSize) {
    const best = pairs.mostFrequent();
    if (best === undefined) break;
    const merged = FIRST_MERGE_ID + merges.length;
    merges.push([best.left, best.right]);
    for (const index of pairs.wordsWith(best.key)) {
      const word = words[index];
      const symbols = mergePair(word.symbols, best.left, best.right, merged);
      // A word stays listed under pairs that it no longer has.
      if (symbols.length === word.symbols.length) continue;
      pairs.removeWord(word);
      word.symbols = symbols;
      pairs.addWord(word, index);
    }
  }
  return { merges };
}

interface Word {
  symbols: number[];
  count: number;
}

function countWords(documents: Iterable<string>): Word[] {
  const counts = new Map<string, number>();
  for (const document of documents) {
    for (const word of document.match(WORD_PATTERN) ?? []) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  const encoder = new TextEncoder();
  return Array.from(counts, ([text, count]) => ({
    symbols: Array.from(encoder.encode(text), (byte) => FIRST_BYTE_ID + byte),
    count,
  }));
}

/** `symbols` with every `left right`, from the left, replaced by `merged`. */
export function mergePair(
  symbols: readonly number[],
  left: number,
  right: number,
  merged: number,
): number[] {
  const result: number[] = [];
  for (let i = 0; i < symbols.length; i++) {
    const isPair = symbols[i] === left && symbols[i + 1] === right;
    result.push(isPair ? merged : symbols[i]);
    if (isPair) i++;
  }
  return result;
}

/** How often every pair occurs, and in which words. */
class PairCounts {
  readonly #counts = new Map<number, number>();
  readonly #words = new Map<number, Set<number>>();

  addWord({ symbols, count }: Word, index: number): void {
    for (let i = 1; i < symbols.length; i++) {
      const key = symbols[i - 1] * MAX_VOCAB + symbols[i];
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
      const words = this.#words.get(key);
      if (words === undefined) this.#words.set(key, new Set([index]));
      else words.add(index);
    }
  }

  removeWord({ symbols, count }: Word): void {
    for (let i = 1; i < symbols.length; i++) {
      const key = symbols[i - 1] * MAX_VOCAB + symbols[i];
      const left = this.#counts.get(key)! - count;
      if (left > 0) this.#counts.set(key, left);
      else {
        this.#counts.delete(key);
        this.#words.delete(key);
      }
    }
  }

  /** A copy, because merging changes the set. */
  wordsWith(key: number): number[] {
    return [...this.#words.get(key) ?? []];
  }

  /** Undefined when no pair occurs at least twice. */
  mostFrequent(): { key: number; left: number; right: number } | undefined {
    let best = -1;
    let bestCount = 1;
    for (const [key, count] of this.#counts) {
      if (count > bestCount || (count === bestCount && key < best)) {
        best = key;
        bestCount = count;
      }
    }
    if (best < 0) return undefined;
    return { key: best, left: Math.floor(best / MAX_VOCAB), right: best % MAX_VOCAB };
  }
}
