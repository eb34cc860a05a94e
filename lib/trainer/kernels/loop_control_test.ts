/** Threads are played by one here, which does in between what others might do at the worst moment. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Pieces } from "./loop.ts";
import { LoopControl, MOST_PIECES } from "./loop_control.ts";

/** A loop that notes who did what; `between` happens before each piece. */
function noting(
  count: number,
  done: string[],
  between: (piece: number) => void = () => {},
): Pieces {
  return {
    count,
    begin: (numbers) => (piece) => {
      between(piece);
      done.push(`${piece} of ${numbers}`);
    },
  };
}

Deno.test("every piece is done once, whoever takes it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 50 }), fc.nat({ max: 50 }), (count, from) => {
      const main = new LoopControl();
      const helper = new LoopControl(main.parts);
      for (const run of [1, 2, 3]) {
        const done: string[] = [];
        main.open(7, [run]);
        main.work((loop) => {
          assert.equal(loop, 7);
          return noting(count, done, (piece) => {
            if (piece === from) helper.work(() => noting(count, done));
          });
        });
        assert.ok(main.close(0));
        const wanted = Array.from({ length: count }, (_, piece) => `${piece} of ${run}`);
        assert.deepEqual(done.sort(), wanted.sort());
      }
    }),
  );
});

Deno.test("who comes late takes no piece of the next run", () => {
  const main = new LoopControl();
  const late = new LoopControl(main.parts);
  const done: string[] = [];
  main.open(1, [1]);
  late.work(() => {
    // It has seen the first run; before it takes a piece that one is over and another begun.
    main.work(() => noting(3, done));
    assert.ok(main.close(0));
    main.open(2, [2]);
    return noting(3, ["never"]);
  });
  assert.equal(done.length, 3);
  main.work(() => noting(2, done));
  assert.ok(main.close(0));
  assert.deepEqual(done.slice(3), ["0 of 2", "1 of 2"]);
  // Nothing is open now.
  late.work(() => noting(MOST_PIECES, done));
  assert.equal(done.length, 5);
});

Deno.test("who looks for work before the first run finds none", () => {
  const main = new LoopControl();
  const early = new LoopControl(main.parts);
  const done: string[] = [];
  early.work(() => noting(3, done));
  assert.deepEqual(done, []);
  main.open(0, [1]);
  early.work(() => noting(3, done));
  assert.ok(main.close(0));
  assert.equal(done.length, 3);
});

Deno.test("the number of a run starts again and takes no harm", () => {
  const control = new LoopControl();
  for (let run = 0; run < 5000; run++) {
    const done: string[] = [];
    control.open(0, []);
    control.work(() => noting(2, done));
    assert.ok(control.close(0));
    assert.equal(done.length, 2);
  }
});

Deno.test("a piece that fails or does not end is told at the end of the run", () => {
  const main = new LoopControl();
  const helper = new LoopControl(main.parts);
  main.open(0, []);
  const failing = noting(3, [], (piece) => {
    if (piece === 1) throw new Error("no memory");
  });
  assert.throws(() => helper.work(() => failing), { message: "no memory" });
  main.work(() => noting(3, []));
  assert.ok(!main.close(0));

  main.open(0, []);
  let waited = true;
  helper.work(() => noting(1, [], () => waited = main.close(1)));
  assert.equal(waited, false);
  main.open(0, []);
  main.work(() => noting(3, []));
  assert.ok(main.close(0));
});
