/**
 * The same model trained by jax-js on its WebAssembly backend, as a measured process; see contestant.ts.
 *
 * It runs without this project's configuration and fetches its library itself, so that nobody else
 * depends on it. Model, derivative, clipping and AdamW are compiled as one.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import type { ContestantTask, Measurement } from "./contestant.ts";
import { peakBytes } from "./peak_bytes.ts";

const LIBRARY = "npm:@jax-js/jax@0.1.25";
const RATE = 1e-4;
/** AdamW as the others have it. */
const [BETA1, BETA2] = [0.9, 0.95];
const EPSILON = 1e-8;
const DECAY = 0.1;
const MOST_NORM = 1;

/** What is used of an array. Every use of an array as an operand gives it away, unless by `ref`. */
interface JaxArray {
  readonly ref: JaxArray;
  readonly shape: number[];
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  reshape(shape: number[]): JaxArray;
  transpose(order?: number[]): JaxArray;
  dispose(): void;
  data(): Promise<Float32Array>;
  blockUntilReady(): Promise<JaxArray>;
}
type Weights = Record<string, JaxArray>;

interface Jax {
  init(device: "wasm"): Promise<string[]>;
  defaultDevice(device: "wasm"): void;
  jit<Values extends unknown[], Result>(
    f: (...values: Values) => Result,
  ): (...values: Values) => Result;
  valueAndGrad(
    f: (weights: Weights, tokens: JaxArray, targets: JaxArray) => JaxArray,
  ): (weights: Weights, tokens: JaxArray, targets: JaxArray) => [JaxArray, Weights];
  numpy: {
    array(values: Float32Array | Int32Array, options: { shape: number[] }): JaxArray;
    take(x: JaxArray, indices: JaxArray, axis: number): JaxArray;
    split(x: JaxArray, sections: number | number[], axis: number): JaxArray[];
    concatenate(parts: JaxArray[], axis: number): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    mean(x: JaxArray, axis?: number, options?: { keepdims: boolean }): JaxArray;
    sqrt(x: JaxArray): JaxArray;
    square(x: JaxArray): JaxArray;
    reciprocal(x: JaxArray): JaxArray;
    sum(x: JaxArray): JaxArray;
    minimum(x: JaxArray, y: JaxArray | number): JaxArray;
  };
  nn: {
    silu(x: JaxArray): JaxArray;
    logSoftmax(x: JaxArray): JaxArray;
    dotProductAttention(
      q: JaxArray,
      k: JaxArray,
      v: JaxArray,
      options: { isCausal: boolean },
    ): JaxArray;
  };
}

const task: ContestantTask = JSON.parse(Deno.args[0]);
const { batch, sequenceLength: length } = task;
// The library starts as many workers as the machine has cores.
Object.defineProperty(navigator, "hardwareConcurrency", { value: task.threads });
const jax: Jax = await import(LIBRARY);
await jax.init("wasm");
jax.defaultDevice("wasm");
const { numpy: np, nn } = jax;

const config = JSON.parse(readFileSync(`${task.directory}/config.json`, "utf8"));
const { num_attention_heads: heads, num_key_value_heads: kvHeads, hidden_size: width } = config;
const headDim = width / heads;

function readWeights(): Weights {
  const file = readFileSync(`${task.directory}/model.safetensors`);
  const size = Number(file.readBigUInt64LE(0));
  const header: Record<string, { shape: number[]; data_offsets: [number, number] }> = JSON.parse(
    file.toString("utf8", 8, 8 + size),
  );
  const tensors = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return Object.fromEntries(tensors.map(([name, { shape, data_offsets: [from, to] }]) => {
    const bytes = Uint8Array.from(file.subarray(8 + size + from, 8 + size + to));
    return [name, np.array(new Float32Array(bytes.buffer), { shape })];
  }));
}

/** Cosines or sines of all positions, [length, 1, headDim / 2]. */
function table(f: (angle: number) => number): JaxArray {
  const half = headDim / 2;
  const theta = config.rope_theta ?? 10_000;
  const values = Float32Array.from(
    { length: length * half },
    (_, i) => f(Math.floor(i / half) * theta ** (-2 * (i % half) / headDim)),
  );
  return np.array(values, { shape: [length, 1, half] });
}
const cos = table(Math.cos), sin = table(Math.sin);

/** Rotates [batch, length, heads, headDim] by the positions. */
function rotate(x: JaxArray): JaxArray {
  const [a, b] = np.split(x, 2, -1);
  return np.concatenate([
    a.ref.mul(cos.ref).sub(b.ref.mul(sin.ref)),
    b.mul(cos.ref).add(a.mul(sin.ref)),
  ], -1);
}

function norm(x: JaxArray, weight: JaxArray): JaxArray {
  const square = np.mean(np.square(x.ref), -1, { keepdims: true });
  return x.mul(np.reciprocal(np.sqrt(square.add(config.rms_norm_eps)))).mul(weight);
}

/**
 * Mean next-token loss of `tokens` [batch * length], with the expected ones as rows of one-hot
 * `targets` [batch, length - 1, vocabulary]; all arguments are given away. The library cannot compile
 * the derivative of picking one element of each row, and of picking rows only by an argument as it is.
 */
function lossOf(weights: Weights, tokens: JaxArray, targets: JaxArray): JaxArray {
  const linear = (x: JaxArray, weight: JaxArray) => np.matmul(x, weight.transpose());
  let x = np.take(weights["model.embed_tokens.weight"], tokens, 0);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const weight = (name: string) => weights[`model.layers.${layer}.${name}.weight`];
    const a = norm(x.ref, weight("input_layernorm"));
    const project = (name: string, count: number) =>
      linear(a.ref, weight(`self_attn.${name}`)).reshape([batch, length, count, headDim]);
    const attended = nn.dotProductAttention(
      rotate(project("q_proj", heads)),
      rotate(project("k_proj", kvHeads)),
      project("v_proj", kvHeads),
      { isCausal: true },
    ).reshape([batch * length, width]);
    a.dispose();
    x = x.add(linear(attended, weight("self_attn.o_proj")));
    const m = norm(x.ref, weight("post_attention_layernorm"));
    const gate = nn.silu(linear(m.ref, weight("mlp.gate_proj")));
    const gated = gate.mul(linear(m, weight("mlp.up_proj")));
    x = x.add(linear(gated, weight("mlp.down_proj")));
  }
  const [used, rest] = np.split(x.reshape([batch, length, width]), [length - 1], 1);
  rest.dispose();
  const normal = norm(used, weights["model.norm.weight"]);
  const logs = nn.logSoftmax(linear(normal, weights["lm_head.weight"]));
  return np.sum(logs.mul(targets)).mul(-1 / (batch * (length - 1)));
}

const lossAndGradients = jax.valueAndGrad(lossOf);

/** Weights and both moments. */
interface State {
  weights: Weights;
  first: Weights;
  second: Weights;
}

/** By what gradients are multiplied so that they are not longer than {@linkcode MOST_NORM}. */
function clipFactor(gradients: Weights): JaxArray {
  const squares = Object.values(gradients).map((gradient) => np.sum(np.square(gradient.ref)));
  const norm = np.sqrt(squares.reduce((sum, square) => sum.add(square)));
  return np.minimum(np.reciprocal(norm.add(1e-6)).mul(MOST_NORM), 1);
}

/** One step; `rate` and `correction` hold the corrections of the moments' bias. */
const trained = jax.jit((
  { weights, first, second }: State,
  rate: JaxArray,
  correction: JaxArray,
  tokens: JaxArray,
  targets: JaxArray,
): [JaxArray, State] => {
  const kept = Object.fromEntries(
    Object.entries(weights).map(([name, weight]) => [name, weight.ref]),
  );
  const [loss, gradients] = lossAndGradients(kept, tokens, targets);
  const clip = clipFactor(gradients);
  const next: State = { weights: {}, first: {}, second: {} };
  for (const [name, weight] of Object.entries(weights)) {
    const gradient = gradients[name].mul(clip.ref);
    const m = first[name].mul(BETA1).add(gradient.ref.mul(1 - BETA1));
    const v = second[name].mul(BETA2).add(np.square(gradient).mul(1 - BETA2));
    const scale = np.sqrt(v.ref).mul(correction.ref).add(EPSILON);
    const change = m.ref.mul(rate.ref).mul(np.reciprocal(scale));
    next.weights[name] = weight.mul(1 - RATE * DECAY).sub(change);
    next.first[name] = m;
    next.second[name] = v;
  }
  for (const used of [clip, rate, correction]) used.dispose();
  return [loss, next];
});

function zerosLike(weights: Weights): Weights {
  return Object.fromEntries(
    Object.entries(weights).map(([name, { shape }]) => {
      const length = shape.reduce((a, b) => a * b, 1);
      return [name, np.array(new Float32Array(length), { shape })];
    }),
  );
}

const weights = readWeights();
let state: State = { weights, first: zerosLike(weights), second: zerosLike(weights) };
let steps = 0;
const vocabulary: number = config.vocab_size;
const ids = Int32Array.from({ length: batch * length }, (_, i) => i * i % vocabulary);
const tokens = np.array(ids, { shape: [batch * length] });
const expected = ids.filter((_, i) => i % length !== 0);
const oneHot = new Float32Array(expected.length * vocabulary);
expected.forEach((id, row) => oneHot[row * vocabulary + id] = 1);
const targets = np.array(oneHot, { shape: [batch, length - 1, vocabulary] });

async function step(): Promise<number> {
  steps++;
  const number = (value: number) => np.array(Float32Array.of(value), { shape: [] });
  const rate = number(RATE / (1 - BETA1 ** steps));
  const correction = number(1 / Math.sqrt(1 - BETA2 ** steps));
  const [loss, next] = trained(state, rate, correction, tokens.ref, targets.ref);
  state = next;
  const arrays = Object.values(state).flatMap((weights: Weights) => Object.values(weights));
  for (const array of arrays) await array.blockUntilReady();
  return (await loss.data())[0];
}

for await (const _ of createInterface({ input: process.stdin })) {
  const before = process.cpuUsage();
  const start = performance.now();
  const loss = await step();
  const milliseconds = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  const processorMilliseconds = (user + system) / 1000;
  const measurement: Measurement = {
    milliseconds,
    processorMilliseconds,
    graphMilliseconds: milliseconds,
    kernelMilliseconds: 0,
    sharedMilliseconds: 0,
    peakBytes: peakBytes(),
    loss,
  };
  console.log(JSON.stringify(measurement));
}
Deno.exit(0);
