import assert from "node:assert/strict";
import fc from "fast-check";
import { pieces } from "./micro_batch.ts";

Deno.test("seven rows in micro batches of five are cut into four and three", () => {
  assert.deepEqual(pieces(7, 5), [{ start: 0, rows: 4 }, { start: 4, rows: 3 }]);
  assert.deepEqual(pieces(4, 4), [{ start: 0, rows: 4 }]);
  assert.deepEqual(pieces(16, 3).map((piece) => piece.rows), [3, 3, 3, 3, 3, 1]);
});

Deno.test("pieces cover the batch in order and their number is that of the rule", () => {
  const size = fc.integer({ min: 1, max: 500 });
  const seed = Date.now();
  console.log(`seed ${seed}`);
  fc.assert(
    fc.property(size, size, (batch, micro) => {
      const cut = pieces(batch, micro);
      assert.equal(cut.length, Math.ceil(batch / micro));
      let next = 0;
      for (const { start, rows } of cut) {
        assert.equal(start, next);
        assert.ok(rows >= 1 && rows <= micro && rows <= cut[0].rows);
        next += rows;
      }
      assert.equal(next, batch);
    }),
    { seed },
  );
});
