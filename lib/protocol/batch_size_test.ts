import assert from "node:assert/strict";
import { batchSize, dataIndexForStep } from "./batch_size.ts";

const ramp = (start: number, end: number, warmupTokens: bigint) => ({
  globalBatchSizeStart: start,
  globalBatchSizeEnd: end,
  globalBatchSizeWarmupTokens: warmupTokens,
});

Deno.test("the ramp of section 7", () => {
  const vectors: [number, number, bigint, bigint, number][] = [
    [12288, 32768, 549755813888n, 0n, 12288],
    [12288, 32768, 549755813888n, 274877906944n, 22528],
    [12288, 32768, 549755813888n, 549755813887n, 32768],
    [12288, 32768, 549755813888n, 219215001n * 2048n, 29013],
    [12288, 32768, 549755813888n, 219244014n * 2048n, 29015],
    [12288, 32768, 549755813888n, 219273029n * 2048n, 29017],
    [1, 4, 100n, 50n, 3],
    [1, 2, 100n, 49n, 1],
    [1, 2, 100n, 50n, 2],
    [4, 64, 1000000n, 333333n, 24],
    [8, 8, 0n, 0n, 8],
  ];
  for (const [start, end, warmupTokens, tokens, expected] of vectors) {
    assert.equal(batchSize(ramp(start, end, warmupTokens), tokens), expected);
  }
});

Deno.test("data indices of steps, section 7", () => {
  const vectors: [number, number, number, number, bigint, number, bigint][] = [
    [1, 100, 8, 8, 0n, 64, 0n],
    [5, 100, 8, 8, 0n, 64, 32n],
    [101, 100, 8, 8, 0n, 64, 0n],
    [10, 100, 4, 16, 4096n, 32, 52n],
    [50, 100, 4, 16, 4096n, 32, 664n],
  ];
  for (const [step, totalSteps, start, end, warmup, maxSeqLen, expected] of vectors) {
    const config = { ...ramp(start, end, warmup), totalSteps };
    assert.equal(dataIndexForStep(config, maxSeqLen, step), expected);
  }
});
