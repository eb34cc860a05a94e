/** Shape of a Llama model, as config.json describes it (docs/protocol/training-math.md section 5.1). */
import { PsycheError } from "../../error.ts";

/** Stretches low rotary frequencies by `factor`, leaves high ones, blends between. */
export interface Llama3RopeScaling {
  kind: "llama3";
  factor: number;
  lowFrequencyFactor: number;
  highFrequencyFactor: number;
  originalLength: number;
}

/** The same idea with the border given in rotations over the original length. */
export interface YarnRopeScaling {
  kind: "yarn";
  factor: number;
  /** Rotations from which a frequency stays. */
  betaFast: number;
  /** Rotations up to which a frequency is stretched fully. */
  betaSlow: number;
  originalLength: number;
  mscale: number;
  mscaleAllDim: number;
}

export type RopeScaling = Llama3RopeScaling | YarnRopeScaling;

export interface LlamaConfig {
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  /** Key/value heads; divides `heads`. */
  kvHeads: number;
  normEpsilon: number;
  ropeTheta: number;
  ropeScaling: RopeScaling | null;
  bosTokenId: number | null;
  eosTokenIds: number[];
  maxPositions: number;
}

/** The demo's model class: 0.9 million parameters with a vocabulary of 512. */
export function nanoConfig(vocabSize: number, maxPositions = 2048): LlamaConfig {
  return {
    vocabSize,
    hiddenSize: 128,
    intermediateSize: 384,
    layers: 4,
    heads: 4,
    kvHeads: 2,
    normEpsilon: 1e-5,
    ropeTheta: 10_000,
    ropeScaling: null,
    bosTokenId: null,
    eosTokenIds: [],
    maxPositions,
  };
}

/** Largest value of any dimension: keeps products inside exact integers and memory bounded. */
const MAX_DIMENSION = 1 << 20;

function invalid(what: string): PsycheError {
  return new PsycheError(
    "MODEL_CONFIG_INVALID",
    `config.json cannot be used: ${what}; provide the config.json of a Llama model.`,
  );
}

/**
 * Reads and checks the text of a config.json.
 *
 * @throws PsycheError `MODEL_CONFIG_INVALID` for a missing or impossible value, another
 * architecture, tied embeddings or a RoPE scaling this toolkit does not compute.
 */
export function parseLlamaConfig(json: string): LlamaConfig {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw invalid("it is not JSON");
  }
  if (typeof value !== "object" || value === null) throw invalid("it holds no JSON object");
  const fields = value as Record<string, unknown>;
  const count = (name: string, fallback?: number): number => {
    const found = fields[name] ?? fallback;
    if (!Number.isSafeInteger(found) || Number(found) < 1 || Number(found) > MAX_DIMENSION) {
      throw invalid(`${name} is ${JSON.stringify(found)}, not a whole number from 1 to 2^20`);
    }
    return Number(found);
  };
  if (fields.model_type !== undefined && fields.model_type !== "llama") {
    throw invalid(`model_type is ${JSON.stringify(fields.model_type)}, not "llama"`);
  }
  if (fields.tie_word_embeddings === true) {
    throw invalid(
      "tie_word_embeddings is true, so it has no vocabulary head of its own to exchange results for",
    );
  }
  if (fields.hidden_act !== undefined && fields.hidden_act !== "silu") {
    throw invalid(`hidden_act is ${JSON.stringify(fields.hidden_act)}, not "silu"`);
  }
  // Newer files keep both rotary settings in one table.
  const rope = isTable(fields.rope_parameters) ? fields.rope_parameters : null;
  const heads = count("num_attention_heads");
  const config: LlamaConfig = {
    vocabSize: count("vocab_size"),
    hiddenSize: count("hidden_size"),
    intermediateSize: count("intermediate_size"),
    layers: count("num_hidden_layers"),
    heads,
    kvHeads: count("num_key_value_heads", heads),
    normEpsilon: positive(fields, "rms_norm_eps"),
    ropeTheta: positive({ ...fields, ...rope }, "rope_theta", 10_000),
    ropeScaling: ropeScaling(rope ?? fields.rope_scaling),
    bosTokenId: typeof fields.bos_token_id === "number" ? fields.bos_token_id : null,
    eosTokenIds: [fields.eos_token_id].flat().filter((id) => typeof id === "number"),
    maxPositions: count("max_position_embeddings", 2048),
  };
  if (config.layers > 1024) throw invalid(`num_hidden_layers is ${config.layers}, more than 1024`);
  if (config.hiddenSize % (2 * heads) !== 0) {
    throw invalid(`hidden_size ${config.hiddenSize} is no multiple of twice the ${heads} heads`);
  }
  if (fields.head_dim != null && fields.head_dim !== config.hiddenSize / heads) {
    throw invalid(`head_dim ${fields.head_dim} is not hidden_size / heads`);
  }
  if (heads % config.kvHeads !== 0) {
    throw invalid(`${heads} heads cannot share ${config.kvHeads} key/value heads evenly`);
  }
  return config;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function positive(fields: Record<string, unknown>, name: string, fallback?: number): number {
  const found = fields[name] ?? fallback;
  if (typeof found !== "number" || !Number.isFinite(found) || found <= 0) {
    throw invalid(`${name} is ${JSON.stringify(found)}, not a positive number`);
  }
  return found;
}

function ropeScaling(fields: unknown): RopeScaling | null {
  if (fields === undefined || fields === null) return null;
  if (!isTable(fields)) throw invalid(`rope_scaling is ${JSON.stringify(fields)}, not a table`);
  // A table without a type may hold the base alone, but a factor of an unknown kind is no default.
  const kind: unknown = fields.rope_type ?? fields.type ?? ("factor" in fields ? null : "default");
  switch (kind) {
    case "default":
      return null;
    case "llama3":
      return {
        kind,
        factor: positive(fields, "factor"),
        lowFrequencyFactor: positive(fields, "low_freq_factor"),
        highFrequencyFactor: positive(fields, "high_freq_factor"),
        originalLength: positive(fields, "original_max_position_embeddings"),
      };
    case "yarn":
      return {
        kind,
        factor: positive(fields, "factor"),
        betaFast: positive(fields, "beta_fast", 32),
        betaSlow: positive(fields, "beta_slow", 1),
        originalLength: positive(fields, "original_max_position_embeddings"),
        mscale: positive(fields, "mscale", 1),
        mscaleAllDim: positive(fields, "mscale_all_dim", 1),
      };
    default:
      throw invalid(`rope_scaling is of type ${JSON.stringify(kind)}, not llama3 or yarn`);
  }
}

function formatRopeScaling(scaling: RopeScaling | null): Record<string, unknown> | null {
  if (scaling === null) return null;
  const common = {
    rope_type: scaling.kind,
    factor: scaling.factor,
    original_max_position_embeddings: scaling.originalLength,
  };
  return scaling.kind === "llama3"
    ? {
      ...common,
      low_freq_factor: scaling.lowFrequencyFactor,
      high_freq_factor: scaling.highFrequencyFactor,
    }
    : {
      ...common,
      beta_fast: scaling.betaFast,
      beta_slow: scaling.betaSlow,
      mscale: scaling.mscale,
      mscale_all_dim: scaling.mscaleAllDim,
    };
}

/** The text of a config.json that {@linkcode parseLlamaConfig} and other Llama readers accept. */
export function formatLlamaConfig(config: LlamaConfig): string {
  const fields = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    hidden_act: "silu",
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.ropeTheta,
    rope_scaling: formatRopeScaling(config.ropeScaling),
    bos_token_id: config.bosTokenId,
    eos_token_id: config.eosTokenIds.length === 1 ? config.eosTokenIds[0] : config.eosTokenIds,
    max_position_embeddings: config.maxPositions,
    attention_bias: false,
    tie_word_embeddings: false,
    torch_dtype: "float32",
  };
  return JSON.stringify(fields, null, 2) + "\n";
}

export interface ParameterShape {
  name: string;
  shape: number[];
}

/** Every parameter with its shape, names in ascending byte order (matrices are [out, in]). */
export function parameterShapes(config: LlamaConfig): ParameterShape[] {
  const { hiddenSize: d, intermediateSize: ff, vocabSize } = config;
  const kv = d / config.heads * config.kvHeads;
  const all: ParameterShape[] = [
    { name: "lm_head.weight", shape: [vocabSize, d] },
    { name: "model.embed_tokens.weight", shape: [vocabSize, d] },
    { name: "model.norm.weight", shape: [d] },
  ];
  for (let layer = 0; layer < config.layers; layer++) {
    const shapes: Record<string, number[]> = {
      "input_layernorm": [d],
      "post_attention_layernorm": [d],
      "self_attn.q_proj": [d, d],
      "self_attn.k_proj": [kv, d],
      "self_attn.v_proj": [kv, d],
      "self_attn.o_proj": [d, d],
      "mlp.gate_proj": [ff, d],
      "mlp.up_proj": [ff, d],
      "mlp.down_proj": [d, ff],
    };
    for (const [name, shape] of Object.entries(shapes)) {
      all.push({ name: `model.layers.${layer}.${name}.weight`, shape });
    }
  }
  // Names are ASCII, so comparing code units is comparing bytes.
  return all.sort((a, b) => a.name < b.name ? -1 : 1);
}

/** Numbers in all parameters together. */
export function parameterCount(config: LlamaConfig): number {
  return parameterShapes(config)
    .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}
