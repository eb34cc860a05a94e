import assert from "node:assert/strict";
import fc from "fast-check";
import { toHex } from "./bytes.ts";
import { EMPTY_MERKLE_ROOT, merkleProof, merkleRoot, verifyMerkleProof } from "./merkle.ts";
import { seed } from "./property_seed.ts";

const words = (text: string) => text.split(" ").map((word) => new TextEncoder().encode(word));

Deno.test("roots of section 10", () => {
  const vectors: [Uint8Array[], string][] = [
    [words("my"), "eb130807fce34e4d2237134e22b87bdaea4b5e7ded81ed15caa04ab3df6953db"],
    [words("my very"), "5f32dd924b5622b74d4ee667a1aeeca180dd15bf30290e8105f8099d0258afc0"],
    [words("my very eager"), "7ef67be95b0d3109fe6f2f52ade0e1d3efd688b3f401548d7393e81fd3578aab"],
    [
      words("my very eager mother just served us nine pizzas make prime"),
      "b40c847546fdceea166f927fc46c5ca33c3638236a36275c1346d3dffb84e1bc",
    ],
    [words("test"), "dbebd10e61bc8c28591273feafbbef95d544f874693301d8f7f8e54c6e30058e"],
    [
      [0, 1, 2].map((byte) => new Uint8Array(32).fill(byte)),
      "9aa08d413285ecda667944ba9446d77c1f1712ecf946bfcf74453c731a38e7b7",
    ],
    [[], "00".repeat(32)],
  ];
  for (const [items, root] of vectors) assert.equal(toHex(merkleRoot(items)), root);
});

Deno.test("a root for no items is a copy", () => {
  merkleRoot([])[0] = 1;
  assert.equal(EMPTY_MERKLE_ROOT[0], 0);
});

Deno.test("proofs hold for their item and no other", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(255), { minLength: 1, maxLength: 40 }),
      fc.nat(),
      fc.nat(),
      (bytes, a, b) => {
        const items = bytes.map((byte) => new Uint8Array(32).fill(byte));
        const root = merkleRoot(items);
        const [index, other] = [a % items.length, b % items.length];
        const proof = merkleProof(items, index);
        assert.ok(verifyMerkleProof(root, items[index], proof));
        assert.equal(verifyMerkleProof(root, items[other], proof), index === other);
        assert.ok(!verifyMerkleProof(new Uint8Array(32), items[index], proof));
      },
    ),
    { seed: seed() },
  );
});

Deno.test("malformed proofs fail, unknown items are refused", () => {
  const items = words("a b c");
  const [first, ...rest] = merkleProof(items, 0);
  const root = merkleRoot(items);
  assert.ok(!verifyMerkleProof(root, items[0], [{ ...first, right: null }, ...rest]));
  assert.ok(!verifyMerkleProof(root, items[0], [{ ...first, left: first.right }, ...rest]));
  assert.ok(!verifyMerkleProof(root, items[0], [first]));
  assert.throws(() => merkleProof(items, 3), { code: "MERKLE_INDEX_OUT_OF_RANGE" });
});
