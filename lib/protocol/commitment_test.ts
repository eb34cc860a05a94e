import assert from "node:assert/strict";
import { toHex } from "./bytes.ts";
import { finishedHash, trainingResultHash } from "./commitment.ts";
import { merkleRoot } from "./merkle.ts";

Deno.test("hash of a training result without parameters", () => {
  const hash = trainingResultHash({ step: 7, batchId: { start: 3n, end: 5n }, parameters: [] });
  assert.equal(toHex(hash), "d8f9642fb09df66fb4dfe1e58de6bb57ec9ac55c536ffd6fce4bf611e2fe9327");
});

Deno.test("hash of the worked example of training-math.md section 3.9", () => {
  const hash = trainingResultHash({
    step: 7,
    batchId: { start: 16n, end: 19n },
    parameters: [{ indices: Uint8Array.of(0, 4, 0, 4), values: Uint8Array.of(0x0c) }],
  });
  assert.equal(toHex(hash), "3a539d4b81a3a661ef81fb5e2b45cb77a1990bde4ad3797016f26087916ea0d4");
});

Deno.test("hashes of finished messages", () => {
  const items = [0, 1, 2].map((byte) => new Uint8Array(32).fill(byte));
  assert.equal(
    toHex(finishedHash(merkleRoot(items))),
    "2b30b4423fc1faee6563d7b5b95243586c552b3b30ca29424a8809044fa20ff4",
  );
  assert.equal(
    toHex(finishedHash(merkleRoot([]))),
    "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925",
  );
});
