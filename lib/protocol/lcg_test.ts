import assert from "node:assert/strict";
import { Lcg, shuffleWithLcg } from "./lcg.ts";

Deno.test("outputs of section 4", () => {
  const vectors: [bigint, bigint[]][] = [
    [0n, [
      1442695040888963407n,
      1876011003808476466n,
      11166244414315200793n,
      7401132627792533940n,
    ]],
    [42n, [
      10481999410520546993n,
      4159066171780167020n,
      7615522811268512075n,
      11628791489956661374n,
    ]],
    [12345n, [
      2021368500568277588n,
      4895494634720187923n,
      16336879138292273062n,
      15416634109187857277n,
    ]],
    [(1n << 64n) - 1n, [
      13525302890751722018n,
      12801857353207693129n,
      10372369020401571876n,
      7739682275686472611n,
    ]],
  ];
  for (const [seed, outputs] of vectors) {
    const generator = new Lcg(seed);
    assert.deepEqual(outputs.map(() => generator.next()), outputs);
  }
  const generator = new Lcg(12345n);
  const draws = Array.from({ length: 10 }, () => generator.range(10));
  assert.deepEqual(draws, [8, 3, 2, 7, 4, 5, 8, 1, 0, 7]);
});

Deno.test("shuffles of section 4", () => {
  const upTo = (count: number) => [...Array(count).keys()];
  assert.deepEqual(shuffleWithLcg([1, 2, 3, 4, 5], 42n), [2, 5, 3, 1, 4]);
  assert.deepEqual(shuffleWithLcg([1, 2, 3, 4, 5], 43n), [3, 5, 1, 2, 4]);
  assert.deepEqual(shuffleWithLcg(upTo(10), 0n), [6, 3, 8, 5, 0, 9, 2, 1, 4, 7]);
  assert.deepEqual(
    shuffleWithLcg(upTo(16), 12345n),
    [1, 7, 3, 0, 6, 9, 5, 10, 2, 11, 13, 14, 15, 12, 8, 4],
  );
});
