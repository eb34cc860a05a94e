/**
 * Time of compression and application for a model of 1.8M parameters and three results a round.
 * Run with `deno bench`; take the minimum on a busy machine.
 */
import type { DistroResult } from "../trainer.ts";
import { applyResults } from "./apply.ts";
import { type Entries, writeEntries } from "./entries.ts";
import { distroLayout } from "./layout.ts";
import { Residuals } from "./residuals.ts";

const layer = [[384, 128], [384, 128], [128, 384], [128, 128], [128, 128], [64, 128], [64, 128]];
const shapes = [[4096, 128], [4096, 128], ...[0, 1, 2, 3].flatMap(() => [...layer, [128], [128]])];
const hyper = { chunk: 64, topk: 8 };
const parameters = shapes.map((shape, p) => ({
  name: `p${String(p).padStart(2, "0")}`,
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b)),
}));
const layouts = parameters.map(({ shape }) => distroLayout(shape, hyper));
const residuals = new Residuals(parameters.map(({ name }, p) => ({ name, layout: layouts[p] })));
const gradients = parameters.map(({ data }) => data.map((_, i) => Math.sin(i * i)));

function step(previous: Entries[] | null): Entries[] {
  return gradients.map((gradient, p) =>
    residuals.step(p, {
      gradient,
      previous: previous === null ? [] : [previous[p]],
      decay: 0.999,
      rate: 1e-4,
    })
  );
}

const own = step(null);
const results: DistroResult[] = [1, 2, 3].map(() =>
  step(own).map((entries, p) => writeEntries(entries, layouts[p], true))
);

Deno.bench("residuals and compression", () => {
  step(own);
});

Deno.bench("apply three results", () => {
  applyResults(parameters, results, 1e-3, hyper);
});
