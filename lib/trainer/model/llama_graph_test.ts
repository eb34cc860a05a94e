import assert from "node:assert/strict";
import onnxProto from "onnx-proto";
import { COPY_STOP } from "../graph/passes.ts";
import { seededRandom } from "../random.ts";
import { loadOnnxRuntime } from "../runtime/onnx_runtime.ts";
import { type NumberArray, Session } from "../runtime/session.ts";
import { initialParameters } from "./init.ts";
import { type LlamaConfig, nanoConfig, parameterShapes } from "./llama_config.ts";
import { gradientName, lossModel, trainingModel } from "./llama_graph.ts";
import { prefillModel } from "./prefill_graph.ts";
import { ropeFrequencies } from "./rope.ts";

const ort = await loadOnnxRuntime();

/** Two layers, two query heads for each key/value head, sizes all different; heads can be fused. */
const TINY: LlamaConfig = {
  ...nanoConfig(13),
  hiddenSize: 32,
  intermediateSize: 20,
  layers: 2,
  heads: 4,
  kvHeads: 2,
};
const SHAPE = { batch: 2, sequenceLength: 7 };
const SIZE = (shape: number[]) => shape.reduce((a, b) => a * b, 1);

function tokens(count: number, vocabulary: number, seed = 3): Int32Array<ArrayBuffer> {
  const random = seededRandom(seed);
  return Int32Array.from({ length: count }, () => Math.floor(random.uniform() * vocabulary));
}

/** Mitchell's weights are small: larger ones make every path of the model matter. */
function weights(config: LlamaConfig): Map<string, Float64Array<ArrayBuffer>> {
  const random = seededRandom(11);
  return new Map(
    [...initialParameters(config, 5)].map(([name, data]) => [
      name,
      Float64Array.from(data, (value) => Math.fround(1.5 * value + 0.1 * random.normal())),
    ]),
  );
}

const float32 = (values: Map<string, Float64Array<ArrayBuffer>>) =>
  new Map<string, NumberArray>([...values].map(([name, data]) => [name, Float32Array.from(data)]));

async function run(
  model: Uint8Array<ArrayBuffer>,
  feeds: Map<string, NumberArray>,
  results: Map<string, NumberArray>,
  threads = 1,
) {
  const fuse = results.values().next().value instanceof Float32Array;
  const session = await Session.create(ort, model, { threads, fuse });
  await session.run(feeds, results);
  await session.release();
}

/** Llama by its definition, one number at a time: logits of every position of one sequence. */
function referenceLogits(
  config: LlamaConfig,
  w: Map<string, Float64Array>,
  ids: Int32Array,
): number[][] {
  const d = config.hiddenSize, hd = d / config.heads, frequencies = ropeFrequencies(config);
  const linear = (x: number[], name: string) => {
    const m = w.get(name)!;
    return Array.from(
      { length: m.length / x.length },
      (_, o) => x.reduce((sum, v, i) => sum + v * m[o * x.length + i], 0),
    );
  };
  const norm = (x: number[], name: string) => {
    const scale = 1 / Math.sqrt(x.reduce((s, v) => s + v * v, 0) / d + config.normEpsilon);
    return x.map((v, i) => v * scale * w.get(name)![i]);
  };
  const rotateHead = (x: number[], position: number) =>
    x.map((v, i) => {
      const angle = position * frequencies[i % (hd / 2)];
      const other = i < hd / 2 ? -x[i + hd / 2] : x[i - hd / 2];
      return v * Math.cos(angle) + other * Math.sin(angle);
    });
  const plus = (a: number[], b: number[]) => a.map((v, i) => v + b[i]);
  const headsOf = (x: number[]) =>
    Array.from({ length: x.length / hd }, (_, h) => x.slice(h * hd, (h + 1) * hd));

  let x = [...ids].map((id) => [
    ...w.get("model.embed_tokens.weight")!.slice(id * d, (id + 1) * d),
  ]);
  for (let layer = 0; layer < config.layers; layer++) {
    const at = (name: string) => `model.layers.${layer}.${name}.weight`;
    const a = x.map((row) => norm(row, at("input_layernorm")));
    const heads = (name: string) => a.map((row) => headsOf(linear(row, at(`self_attn.${name}`))));
    const q = heads("q_proj").map((row, t) => row.map((h) => rotateHead(h, t)));
    const k = heads("k_proj").map((row, t) => row.map((h) => rotateHead(h, t)));
    const v = heads("v_proj");
    const attended = q.map((row, t) =>
      row.flatMap((query, h) => {
        const shared = Math.floor(h / (config.heads / config.kvHeads));
        const scores = Array.from(
          { length: t + 1 },
          (_, s) =>
            Math.exp(query.reduce((sum, v, i) => sum + v * k[s][shared][i], 0) / Math.sqrt(hd)),
        );
        const total = scores.reduce((a, b) => a + b);
        return query.map((_, i) =>
          scores.reduce((sum, p, s) => sum + p * v[s][shared][i], 0) / total
        );
      })
    );
    x = x.map((row, t) => plus(row, linear(attended[t], at("self_attn.o_proj"))));
    x = x.map((row) => {
      const m = norm(row, at("post_attention_layernorm"));
      const up = linear(m, at("mlp.up_proj"));
      const gated = linear(m, at("mlp.gate_proj")).map((g, i) => g / (1 + Math.exp(-g)) * up[i]);
      return plus(row, linear(gated, at("mlp.down_proj")));
    });
  }
  return x.map((row) => linear(norm(row, "model.norm.weight"), "lm_head.weight"));
}

function referenceLoss(config: LlamaConfig, w: Map<string, Float64Array>, ids: Int32Array) {
  const { batch, sequenceLength } = SHAPE;
  let sum = 0;
  for (let b = 0; b < batch; b++) {
    const row = ids.subarray(b * sequenceLength, (b + 1) * sequenceLength);
    referenceLogits(config, w, row).slice(0, -1).forEach((logits, t) => {
      const total = logits.reduce((s, v) => s + Math.exp(v), 0);
      sum -= logits[row[t + 1]] - Math.log(total);
    });
  }
  return sum / (batch * (sequenceLength - 1));
}

Deno.test("the loss is that of Llama computed by its definition", async () => {
  const w = weights(TINY);
  const ids = tokens(14, 13);
  const loss = new Float64Array(1);
  await run(
    lossModel(TINY, SHAPE, { float: "float64" }),
    new Map<string, NumberArray>([...w, ["tokens", ids]]),
    new Map([["loss", loss]]),
  );
  const expected = referenceLoss(TINY, w, ids);
  assert.ok(Math.abs(loss[0] - expected) < 1e-6, `${loss[0]} instead of ${expected}`);
});

Deno.test("next-token logits are those of the definition and ignore later tokens", async () => {
  const w = weights(TINY);
  const ids = tokens(7, 13);
  const expected = referenceLogits(TINY, w, ids)[4];
  for (const filler of [0, 12]) {
    const logits = new Float32Array(13);
    await run(
      prefillModel(TINY, 7),
      new Map<string, NumberArray>([
        ...float32(w),
        ["tokens", ids.map((id, i) => i > 4 ? filler : id)],
        ["last", Int32Array.of(4)],
      ]),
      new Map([["logits", logits]]),
    );
    logits.forEach((v, i) => assert.ok(Math.abs(v - expected[i]) < 1e-4, `${v}, ${expected[i]}`));
  }
});

async function trainingGradients(float: "float32" | "float64", threads: number) {
  const w = weights(TINY);
  const kind = float === "float32" ? Float32Array : Float64Array;
  const results = new Map<string, NumberArray>([
    ["loss", new kind(1)],
    ...parameterShapes(TINY).map(({ name, shape }): [string, NumberArray] => [
      gradientName(name),
      new kind(SIZE(shape)),
    ]),
  ]);
  const feeds = float === "float32" ? float32(w) : new Map<string, NumberArray>(w);
  feeds.set("tokens", tokens(14, 13));
  await run(trainingModel(TINY, SHAPE, { float, fused: true }), feeds, results, threads);
  return results;
}

Deno.test("every parameter's gradient agrees with finite differences in float64", async () => {
  const w = weights(TINY);
  const found = await trainingGradients("float64", 1);
  const session = await Session.create(ort, lossModel(TINY, SHAPE, { float: "float64" }), {
    threads: 1,
    fuse: false,
  });
  const feeds = new Map<string, NumberArray>([...w, ["tokens", tokens(14, 13)]]);
  const loss = new Float64Array(1);
  const lossAt = async () => {
    await session.run(feeds, new Map([["loss", loss]]));
    return loss[0];
  };
  for (const { name } of parameterShapes(TINY)) {
    const data = w.get(name)!;
    const step = Math.max(1, Math.floor(data.length / 5));
    for (let i = 0; i < data.length; i += step) {
      const kept = data[i], epsilon = 1e-5;
      data[i] = kept + epsilon;
      const up = await lossAt();
      data[i] = kept - epsilon;
      const expected = (up - await lossAt()) / (2 * epsilon);
      data[i] = kept;
      const got = found.get(gradientName(name))![i];
      assert.ok(Math.abs(got - expected) < 1e-7, `${name}[${i}]: ${got} instead of ${expected}`);
    }
  }
  await session.release();
});

Deno.test("the float32 graph agrees with the float64 one in every parameter", async () => {
  const exact = await trainingGradients("float64", 1);
  for (const [name, got] of await trainingGradients("float32", 1)) {
    const expected = exact.get(name)!;
    let difference = 0, norm = 0;
    expected.forEach((v: number, i: number) => {
      difference += (v - got[i]) ** 2;
      norm += v * v;
    });
    assert.ok(Math.sqrt(difference / norm) < 1e-5, `${name}: ${Math.sqrt(difference / norm)}`);
  }
});

/** Large enough that the runtime divides its work among threads, in sizes that do not divide evenly. */
const DIVIDED = [
  { batch: 3, sequenceLength: 200 },
  { batch: 7, sequenceLength: 100, positions: true },
  { batch: 2, sequenceLength: 150, labels: true, positions: true, texts: true },
];

for (const shape of DIVIDED) {
  const { batch, sequenceLength, ...has } = shape;
  const kind = Object.keys(has).join(", ") || "tokens alone";
  Deno.test(`gradients are bit-equal for one, two and three threads: ${kind}`, async () => {
    const config = { ...nanoConfig(500), layers: 2 };
    const count = batch * sequenceLength;
    const values = initialParameters(config, 5);
    const ids = tokens(count, config.vocabSize);
    const feeds = new Map<string, NumberArray>([
      ...values,
      ["tokens", ids],
      ["labels", ids.map((id, i) => i % 3 === 0 ? -100 : id)],
      ["positions", ids.map((_, i) => i % 40)],
      ["texts", ids.map((_, i) => Math.floor(i / 40))],
    ]);
    const gradientsWith = async (threads: number) => {
      const results = new Map<string, NumberArray>([
        ["loss", new Float32Array(1)],
        ...[...values].map(([name, data]): [string, NumberArray] => [
          gradientName(name),
          new Float32Array(data.length),
        ]),
      ]);
      await run(trainingModel(config, shape), feeds, results, threads);
      return results;
    };
    const first = await gradientsWith(1);
    for (const threads of [2, 3, 2]) {
      for (const [name, data] of await gradientsWith(threads)) {
        const expected = first.get(name)!;
        const differing = data.findIndex((value, i) => !Object.is(value, expected[i]));
        assert.equal(differing, -1, `${name}[${differing}] with ${threads} threads`);
      }
    }
  });
}

Deno.test("the training graph carries no weights, and for any device is made of standard operators", () => {
  const shape = { batch: 2, sequenceLength: 100 };
  const bytes = trainingModel(nanoConfig(512), shape, { fused: false });
  const { graph } = onnxProto.onnx.ModelProto.decode(bytes);
  const names = parameterShapes(nanoConfig(512)).map((p) => p.name);
  assert.deepEqual(graph!.input!.map((i) => i.name).sort(), [...names, "tokens"].sort());
  assert.deepEqual(
    graph!.output!.map((o) => o.name),
    [COPY_STOP, "loss", ...names.map(gradientName)],
  );
  for (const node of graph!.node!) assert.equal(node.domain ?? "", "", node.opType!);
  assert.ok(bytes.length < 1 << 20, `${bytes.length} bytes`);
});
