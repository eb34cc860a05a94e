/** Giving up a batch: a worker that computes reads no messages, but shared memory it can read. */

/** One number in shared memory, 1 when the batch is to be given up. */
export type AbortFlag = Int32Array<SharedArrayBuffer>;

export function createAbortFlag(): AbortFlag {
  return new Int32Array(new SharedArrayBuffer(4));
}

export function raise(flag: AbortFlag): void {
  Atomics.store(flag, 0, 1);
}

export function isRaised(flag: AbortFlag): boolean {
  return Atomics.load(flag, 0) === 1;
}
