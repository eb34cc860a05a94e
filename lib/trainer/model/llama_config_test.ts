import assert from "node:assert/strict";
import {
  formatLlamaConfig,
  nanoConfig,
  parameterShapes,
  parseLlamaConfig,
} from "./llama_config.ts";

Deno.test("a configuration survives its text", () => {
  const configs = [nanoConfig(512), {
    ...nanoConfig(1000),
    eosTokenIds: [1, 2],
    bosTokenId: 0,
    ropeScaling: {
      kind: "llama3" as const,
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalLength: 8192,
    },
  }, {
    ...nanoConfig(8),
    eosTokenIds: [3],
    ropeScaling: {
      kind: "yarn" as const,
      factor: 4,
      betaFast: 30,
      betaSlow: 2,
      originalLength: 2048,
      mscale: 0.7,
      mscaleAllDim: 0.5,
    },
  }];
  for (const config of configs) {
    assert.deepEqual(parseLlamaConfig(formatLlamaConfig(config)), config);
  }
});

Deno.test("fields that may be missing have the specified defaults", () => {
  const config = parseLlamaConfig(JSON.stringify({
    vocab_size: 8,
    hidden_size: 8,
    intermediate_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    rms_norm_eps: 1e-6,
  }));
  assert.equal(config.kvHeads, 2);
  assert.equal(config.ropeTheta, 10_000);
  assert.deepEqual(config.eosTokenIds, []);
});

Deno.test("rotary settings may stand in one table", () => {
  const { rope_scaling: _, rope_theta: __, ...base } = JSON.parse(formatLlamaConfig(nanoConfig(8)));
  const read = (rope: object) =>
    parseLlamaConfig(JSON.stringify({ ...base, head_dim: 32, rope_parameters: rope }));
  assert.equal(read({ rope_type: "default", rope_theta: 7 }).ropeTheta, 7);
  assert.equal(read({ rope_type: "default", rope_theta: 7 }).ropeScaling, null);
  const scaled = read({
    rope_type: "llama3",
    rope_theta: 7,
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 32,
  });
  assert.equal(scaled.ropeTheta, 7);
  assert.equal(scaled.ropeScaling?.kind, "llama3");
});

Deno.test("configurations that cannot be computed are refused", () => {
  const base = JSON.parse(formatLlamaConfig(nanoConfig(512)));
  const wrong = [
    { tie_word_embeddings: true },
    { model_type: "mistral" },
    { vocab_size: 0 },
    { vocab_size: 1e12 },
    { hidden_size: "128" },
    { hidden_size: 124 },
    { hidden_act: "gelu" },
    { head_dim: 64 },
    { num_key_value_heads: 3 },
    { num_hidden_layers: 2000 },
    { rms_norm_eps: undefined },
    { rope_theta: -1 },
    { rope_scaling: { rope_type: "yarn", factor: 4 } },
    { rope_scaling: { rope_type: "llama3" } },
    { rope_scaling: { rope_type: "longrope" } },
    { rope_scaling: { factor: 2 } },
    { rope_scaling: "llama3" },
    { rope_scaling: 2 },
  ];
  for (const change of wrong) {
    assert.throws(() => parseLlamaConfig(JSON.stringify({ ...base, ...change })), {
      code: "MODEL_CONFIG_INVALID",
    }, JSON.stringify(change));
  }
  for (const text of ["", "[", "null", "3", '"x"', "[]"]) {
    assert.throws(() => parseLlamaConfig(text), { code: "MODEL_CONFIG_INVALID" }, text);
  }
});

Deno.test("parameters come in byte order: layer 10 before layer 2", () => {
  const names = parameterShapes({ ...nanoConfig(512), layers: 11 }).map((p) => p.name);
  assert.deepEqual(names.slice(0, 3), [
    "lm_head.weight",
    "model.embed_tokens.weight",
    "model.layers.0.input_layernorm.weight",
  ]);
  assert.equal(names[3], "model.layers.0.mlp.down_proj.weight");
  assert.equal(names.at(-1), "model.norm.weight");
  const at = (layer: number) => names.indexOf(`model.layers.${layer}.mlp.up_proj.weight`);
  assert.ok(at(1) < at(10) && at(10) < at(2));
});
