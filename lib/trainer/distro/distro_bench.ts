/**
 * Time of compression and application for a model of 1.8M parameters and three results a round.
 * Run with `deno bench`; take the minimum on a busy machine.
 */
import * as ort from "onnxruntime-node";
import type { DistroResult } from "../trainer.ts";
import { applyResults } from "./apply.ts";
import { createCompressor } from "./compress.ts";

const layer = [[384, 128], [384, 128], [128, 384], [128, 128], [128, 128], [64, 128], [64, 128]];
const shapes = [[4096, 128], [4096, 128], ...[0, 1, 2, 3].flatMap(() => [...layer, [128], [128]])];
const hyper = { chunk: 64, topk: 8 };
const parameters = shapes.map((shape, p) => ({
  name: `p${String(p).padStart(2, "0")}`,
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b)),
}));
const residuals = (seed: number) =>
  new Map(parameters.map(({ name, data }) => [name, data.map((_, i) => Math.sin(i * i + seed))]));

const compressor = await createCompressor(ort, parameters, { ...hyper, oneBit: true, threads: 1 });
const results: DistroResult[] = [];
for (const seed of [1, 2, 3]) results.push((await compressor.compress(residuals(seed))).sent);
const residual = residuals(4);

Deno.bench("compress, one thread", async () => {
  await compressor.compress(residual);
});

Deno.bench("apply three results, one thread", () => {
  applyResults(parameters, results, 1e-3, hyper);
});
