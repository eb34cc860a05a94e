/** Zero tokens without end, for tests: docs/protocol/training-math.md section 6.8. */
import { batchRange, type DataProvider } from "./data_provider.ts";

/** Provider of sequences that hold only token 0. */
export function dummyProvider(sequenceLength: number): DataProvider {
  const shape = { sequences: Infinity, sequenceLength };
  return {
    ...shape,
    read(batch, signal) {
      return Promise.try(() => {
        signal?.throwIfAborted();
        return { tokens: new Int32Array(batchRange(batch, shape).count * sequenceLength) };
      });
    },
  };
}
