/**
 * From a sequence index to its place in the files: docs/protocol/training-math.md sections 6.2 and
 * 6.3, run-config.md section 3.2.
 */
import { PsycheError } from "../../error.ts";
import type { Shuffle } from "../../protocol/coordinator_state.ts";
import { seededOrder } from "../../protocol/rand_shuffle.ts";

export interface SequenceIndex {
  readonly sequences: number;
  /** File and byte offset of sequence `index`, which must be below `sequences`. */
  locate(index: number): { file: number; offset: number };
}

/** Sequences that can be shuffled: the permutation is held in memory, 4 bytes each. */
const MAX_SHUFFLED = 2 ** 29;

/**
 * Sequences of all files in order, then shuffled as a whole.
 *
 * @param fileSizes bytes of each file
 * @param sequenceBytes bytes of one sequence
 * @param tailBytes a sequence must start strictly below `size - tailBytes`; this is why a file that
 * is an exact multiple loses its last sequence
 * @throws PsycheError `DATA_UNAVAILABLE` when there is not a single sequence or too many to shuffle
 */
export function sequenceIndex(
  fileSizes: readonly number[],
  sequenceBytes: number,
  tailBytes: number,
  shuffle: Shuffle,
): SequenceIndex {
  /** Index of the first sequence after each file. */
  const ends: number[] = [];
  let sequences = 0;
  for (const size of fileSizes) {
    sequences += Math.max(0, Math.ceil((size - tailBytes) / sequenceBytes));
    ends.push(sequences);
  }
  if (sequences === 0) {
    throw new PsycheError(
      "DATA_UNAVAILABLE",
      `${fileSizes.length} data files of ${
        fileSizes.reduce((a, b) => a + b, 0)
      } bytes hold no sequence of ${sequenceBytes} bytes; use more data or a shorter max_seq_len.`,
    );
  }
  if (shuffle.kind === "Seeded" && sequences > MAX_SHUFFLED) {
    throw new PsycheError(
      "DATA_UNAVAILABLE",
      `${sequences} sequences are too many to shuffle (${MAX_SHUFFLED}); shuffle the files beforehand and use DontShuffle.`,
    );
  }
  const order = shuffle.kind === "Seeded" ? seededOrder(sequences, shuffle.seed) : null;
  return {
    sequences,
    locate(index) {
      const place = order === null ? index : order[index];
      let low = 0;
      for (let high = ends.length - 1; low < high;) {
        const middle = (low + high) >> 1;
        if (ends[middle] > place) high = middle;
        else low = middle + 1;
      }
      const first = low === 0 ? 0 : ends[low - 1];
      return { file: low, offset: (place - first) * sequenceBytes };
    },
  };
}
