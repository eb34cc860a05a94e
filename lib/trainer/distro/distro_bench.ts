/**
 * Time of compression and application for a model of 1.8M parameters and three results a round.
 * Run with `deno bench`; take the minimum on a busy machine.
 */
import { KernelThreads } from "../kernels/kernel_threads.ts";
import { ModelMemory } from "../kernels/model_memory.ts";
import type { DistroResult } from "../trainer.ts";
import { ResultApplier } from "./apply.ts";
import { byParameter, type Entries, writeEntries } from "./entries.ts";
import { distroLayout } from "./layout.ts";
import { Residuals } from "./residuals.ts";

const layer = [[384, 128], [384, 128], [128, 384], [128, 128], [128, 128], [64, 128], [64, 128]];
const shapes = [[4096, 128], [4096, 128], ...[0, 1, 2, 3].flatMap(() => [...layer, [128], [128]])];
const hyper = { chunk: 64, topk: 8 };
const parameters = shapes.map((shape, p) => ({
  name: `p${String(p).padStart(2, "0")}`,
  shape,
  length: shape.reduce((a, b) => a * b),
}));
const layouts = parameters.map(({ shape }) => distroLayout(shape, hyper));
const threads = new KernelThreads(navigator.hardwareConcurrency);
const memory = new ModelMemory(threads);
const arrays = parameters.map(({ length }) => memory.take(length, 4));
const placed = parameters.map(({ name, shape }, p) => ({ name, shape, data: arrays[p][0] }));
const residuals = new Residuals(
  arrays.map(([weights, residual, ahead], p) => ({
    name: parameters[p].name,
    layout: layouts[p],
    weights,
    residual,
    ahead,
  })),
  threads,
);
const gradients = arrays.map(([, , , data]) => data);
for (const data of gradients) data.forEach((_, i) => data[i] = Math.sin(i * i));

function step(previous: Entries[]): Entries {
  const entries = residuals.step({ gradients, previous, decay: 0.999, rate: 1e-4 });
  residuals.release(entries);
  return entries;
}

const own = step([]);
const results: DistroResult[] = [1, 2, 3].map(() =>
  byParameter(step([own]), layouts).map((entries, p) => writeEntries(entries, layouts[p], true))
);

Deno.bench("residuals and compression", () => {
  step([own]);
});

const applier = new ResultApplier(placed, hyper, threads);

Deno.bench("apply three results", () => {
  applier.apply(results, 1e-3);
});
