import assert from "node:assert/strict";
import fc from "fast-check";
import type { Optimizer } from "../protocol/coordinator_state.ts";
import { createDistro } from "./distro_optimizer.ts";
import { decodeIndices } from "./distro/index_encoding.ts";
import { decodeValues } from "./distro/value_encoding.ts";
import type { DistroResult, SparseParameter } from "./trainer.ts";

const SETTINGS: Extract<Optimizer, { kind: "Distro" }> = {
  kind: "Distro",
  clipGradNorm: null,
  weightDecay: 0.1,
  compressionDecay: 0.999,
  compressionTopk: 2,
  compressionChunk: 4,
  quantize1bit: false,
};
const LR = 0.01;

const matrix = (f: (r: number, c: number) => number) =>
  Float32Array.from({ length: 24 }, (_, i) => f(Math.floor(i / 6), i % 6));

function near(got: ArrayLike<number>, expected: number[], what: string) {
  expected.forEach((value, i) =>
    assert.ok(Math.abs(got[i] - value) < 2e-6, `${what}[${i}]: ${got[i]} instead of ${value}`)
  );
}

function client(settings = SETTINGS) {
  const weights = matrix((r, c) => 0.1 * (r - c));
  const [residual, ahead] = [new Float32Array(24), new Float32Array(24)];
  const parameter = { name: "w", shape: [4, 6], data: weights, state: [residual, ahead] as const };
  const optimizer = createDistro(settings, [parameter]);
  return { optimizer, weights, residual };
}

/** The worked pipeline of docs/protocol/training-math.md section 3.9, one row a round. */
const PIPELINE = [
  {
    a: [[0, 4], [0, 4], [.0228368, .0073166], [-.0226225, -.0072479]],
    b: [[0, 1], [0, 1], [-.0192711, .0121393], [.017349, -.0147119]],
    ahead: [0, -.1, -.2, -.3, -.4, -.5],
    after: [0, -.0999, -.1998, -.2997, -.3996, -.4995],
  },
  {
    a: [[1, 0], [0, 1], [.0191912, .0122537], [-.0148506, -.0140966]],
    b: [[0, 4], [0, 4], [-.0207234, -.0128074], [.0218701, .0125596]],
    ahead: [-.01, -.1099, -.2098, -.2897, -.3896, -.4895],
    after: [0, -.0998001, -.1996002, -.2994003, -.3992004, -.4990005],
  },
  {
    a: [[1, 3], [1, 3], [.0205298, -.0129608], [-.0216658, .0116702]],
    b: [[1, 2], [1, 2], [-.0319075, .013454], [.0282573, -.0142003]],
    ahead: [-.02, -.1198, -.1796, -.2794, -.3792, -.519001],
    after: [-.00999, -.1096903, -.1894106, -.2891109, -.3888112, -.5084915],
  },
  {
    a: [[0, 4], [0, 1], [-.0322083, -.006401], [.0285237, -.0062252]],
    b: [[1, 0], [1, 3], [-.0147119, .0142295], [.0169901, -.0099736]],
    ahead: [.01001, -.08969, -.169411, -.289111, -.408811, -.528491],
    after: [.00001, -.0995906, -.1792312, -.2988118, -.3984124, -.517973],
  },
];

function checkSent(sparse: SparseParameter, expected: number[][], what: string) {
  const indices = decodeIndices(sparse.indices, sparse.totalk);
  const values = decodeValues(sparse.values, 4, sparse.oneBit);
  assert.deepEqual([...indices], [...expected[0], ...expected[1]], what);
  near(values, [...expected[2], ...expected[3]], what);
}

Deno.test("two clients follow the worked pipeline of the specification", () => {
  const [a, b] = [client(), client()];
  const history: DistroResult[][] = [];
  for (const [t, row] of PIPELINE.entries()) {
    for (const { optimizer, weights } of [a, b]) {
      // Also where what comes is not known.
      if (t >= 2) optimizer.apply(history[t - 2], LR, t % 2 === 0 ? LR : undefined);
      const before = weights.slice();
      const [ahead] = optimizer.lookAhead(LR);
      if (optimizer === a.optimizer) near(ahead.data, row.ahead, `round ${t}, weights ahead`);
      assert.deepEqual(weights, before);
    }
    const gradient = (f: (r: number, c: number) => number) => new Map([["w", matrix(f)]]);
    const [sentA] = a.optimizer.step({
      gradients: gradient((r, c) => Math.sin(1 + 6 * r + c + t)),
      clip: 1,
      lr: LR,
      round: t,
    });
    const [sentB] = b.optimizer.step({
      gradients: gradient((r, c) => Math.cos(2 + 6 * r + c + t)),
      clip: 1,
      lr: LR,
      round: t,
    });
    checkSent(sentA, row.a, `round ${t}, sent by A`);
    checkSent(sentB, row.b, `round ${t}, sent by B`);
    near(a.weights, row.after, `round ${t}, weights after`);
    assert.deepEqual(a.weights, b.weights);
    history.push([[sentA], [sentB]]);
  }
  near(a.weights.subarray(18), [.2788318, .1992112, .1195706, .01997, -.0996106, -.2191712], "end");
});

Deno.test("a new epoch subtracts nothing of the old one, and a reset forgets all", () => {
  const settings = { ...SETTINGS, weightDecay: 0 };
  const gradients = new Map([["w", matrix((r, c) => Math.sin(1 + 6 * r + c))]]);
  const [used, fresh] = [client(settings), client(settings)];
  const first = fresh.optimizer.step({ gradients, clip: 1, lr: LR, round: 0 });
  for (const round of [0, 1, 2]) used.optimizer.step({ gradients, clip: 1, lr: LR, round });
  used.optimizer.reset();
  assert.deepEqual(used.optimizer.step({ gradients, clip: 1, lr: LR, round: 0 }), first);

  // Rounds 5 then 0: the residual of round 5 stays whole, as if nothing had been sent.
  const [jumped, silent] = [client(settings), client(settings)];
  jumped.optimizer.step({ gradients, clip: 1, lr: LR, round: 5 });
  silent.optimizer.step({ gradients, clip: 1, lr: LR, round: 100 });
  assert.deepEqual(
    jumped.optimizer.step({ gradients, clip: 1, lr: LR, round: 0 }),
    silent.optimizer.step({ gradients, clip: 1, lr: LR, round: 0 }),
  );
});

Deno.test("weights decay once a round, however many batches are trained", () => {
  const gradients = new Map([["w", matrix((r, c) => Math.sin(1 + 6 * r + c))]]);
  const [one, two] = [client(), client()];
  for (const round of [0, 1]) {
    one.optimizer.step({ gradients, clip: 1, lr: LR, round });
    two.optimizer.step({ gradients, clip: 1, lr: LR, round });
    two.optimizer.step({ gradients, clip: 1, lr: LR, round });
    assert.deepEqual(one.weights, two.weights);
  }
  near(one.weights, [0, -.0998001, -.1996002], "decayed twice");
});

Deno.test("weights look ahead by the residuals as they are, whatever was known before", () => {
  const rates = fc.constantFrom(0, LR, 2 * LR);
  const action = fc.oneof(
    fc.record({ lookAt: rates }),
    fc.record({ apply: fc.constantFrom(undefined, 0, LR, 2 * LR) }),
    fc.constantFrom({ step: true }, { reset: true }, { nothing: true }),
  );
  fc.assert(fc.property(fc.array(action, { maxLength: 12 }), rates, (actions, last) => {
    const { optimizer, weights, residual } = client();
    const step = (round: number) => {
      const gradients = new Map([["w", matrix((r, c) => Math.sin(round + 6 * r + c))]]);
      return optimizer.step({ gradients, clip: 1, lr: LR, round });
    };
    const result = step(0);
    const check = (rate: number) => {
      const [{ data }] = optimizer.lookAhead(rate);
      const wanted = weights.map((w, i) => w - Math.fround(rate) * Math.sign(residual[i]));
      assert.deepEqual(data, wanted);
    };
    for (const [i, action] of [...actions, { lookAt: last }].entries()) {
      if ("lookAt" in action) check(action.lookAt);
      else if ("apply" in action) optimizer.apply([result], LR, action.apply);
      else if ("step" in action) step(1 + i);
      else if ("reset" in action) optimizer.reset();
      else optimizer.apply([], LR, 3 * LR);
    }
  }));
});
