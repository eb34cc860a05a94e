/** Samples in memory, row by row; what is the same in all rows takes no memory. */
import type { Samples } from "./data_provider.ts";

/**
 * Rows of `sequenceLength` tokens with their labels, positions and packed lengths. Columns that say no
 * more than the tokens do are never made and never handed out.
 */
export class SampleTable {
  readonly #tokens: Int32Array<ArrayBuffer>;
  #labels: Int32Array<ArrayBuffer> | null = null;
  #positions: Int32Array<ArrayBuffer> | null = null;
  /** Row -> lengths, only of rows with more than one text. */
  readonly #lengths = new Map<number, number[]>();

  constructor(readonly rows: number, readonly sequenceLength: number) {
    this.#tokens = new Int32Array(rows * sequenceLength);
  }

  /** Comes before the other columns of a row, which are compared with it. */
  setTokens(row: number, tokens: Int32Array): void {
    this.#tokens.set(tokens, row * this.sequenceLength);
    this.#labels?.set(tokens, row * this.sequenceLength);
  }

  setLabels(row: number, labels: Int32Array): void {
    const at = row * this.sequenceLength;
    if (labels.every((label, i) => label === this.#tokens[at + i])) return;
    this.#labels ??= this.#tokens.slice();
    this.#labels.set(labels, at);
  }

  setPositions(row: number, positions: Int32Array): void {
    if (positions.every((position, i) => position === i)) return;
    this.#positions ??= Int32Array.from(
      { length: this.#tokens.length },
      (_, i) => i % this.sequenceLength,
    );
    this.#positions.set(positions, row * this.sequenceLength);
  }

  /** @param lengths their sum is the sequence length */
  setLengths(row: number, lengths: number[]): void {
    if (lengths.length > 1) this.#lengths.set(row, lengths);
  }

  /** `count` rows from `start` on; after the last row comes the first again. */
  batch(start: bigint, count: number): Samples {
    const rows = Array.from(
      { length: count },
      (_, i) => Number((start + BigInt(i)) % BigInt(this.rows)),
    );
    const samples: Samples = { tokens: this.#gather(this.#tokens, rows) };
    if (this.#labels) samples.labels = this.#gather(this.#labels, rows);
    if (this.#positions) samples.positionIds = this.#gather(this.#positions, rows);
    if (this.#lengths.size > 0) {
      samples.sequenceLengths = rows.map((row) => this.#lengths.get(row) ?? [this.sequenceLength]);
    }
    return samples;
  }

  #gather(column: Int32Array, rows: readonly number[]): Int32Array<ArrayBuffer> {
    const length = this.sequenceLength;
    const gathered = new Int32Array(rows.length * length);
    rows.forEach((row, i) => {
      gathered.set(column.subarray(row * length, (row + 1) * length), i * length);
    });
    return gathered;
  }
}
