/** The operator's TOML file, docs/protocol/run-config.md sections 1 to 3. */
import { parse } from "smol-toml";
import { PsycheError } from "../error.ts";
import type {
  Checkpoint,
  CoordinatorConfig,
  DataLocation,
  HttpLocation,
  LearningRateSchedule,
  Model,
  Optimizer,
  Shuffle,
} from "./coordinator_state.ts";
import { isHostPort } from "./host_port.ts";
import { LONG_TEXT, SHORT_TEXT } from "./limits.ts";
import {
  ARCHITECTURES,
  CHECKPOINTS,
  COMPUTED_ARCHITECTURES,
  DATA_LOCATIONS,
  DATA_TYPES,
  HTTP_LOCATIONS,
  OPTIMIZERS,
  SCHEDULES,
  SHUFFLES,
  TOKEN_SIZES,
} from "./model_image.ts";
import { validateRun } from "./run_rules.ts";
import { lineOfKey } from "./toml_line.ts";
import { TomlFields, type TomlReport } from "./toml_fields.ts";

export { formatRunConfig } from "./run_config_text.ts";
export { type RunProblem, validateRun } from "./run_rules.ts";

/** Longest file that is looked at, characters. */
const MAX_FILE = 1 << 20;

/** A readable and valid configuration. */
export interface ParsedRunConfig {
  config: CoordinatorConfig;
  model: Model;
  /** One sentence each, without the file name: unknown keys, and settings that no client can follow. */
  warnings: string[];
}

/**
 * Reads and checks a run configuration. Over-long texts are refused, never cut. All problems of a file
 * are told at once.
 *
 * @param fileName only for the messages.
 * @throws PsycheError `RUN_CONFIG_INVALID` listing every problem with its key, the value and the rule.
 */
export function parseRunConfig(text: string, fileName: string): ParsedRunConfig {
  if (text.length > MAX_FILE) {
    throw refusal(fileName, [`it is longer than ${MAX_FILE} characters`]);
  }
  const report: TomlReport = { problems: [], warnings: [] };
  const root = new TomlFields("", parseToml(text, fileName), report);
  // Keys that other tools keep in the same file.
  root.ignore("run_id", "run_state");
  const config = readConfig(root.table("config"));
  const model = readModel(root.table("model"));
  root.close();
  // A rule about a value that could not be read would only repeat that.
  const unread = report.problems.map(({ key }) => key);
  const isRead = (key: string) =>
    !unread.some((other) =>
      key === other || key.startsWith(`${other}.`) || other.startsWith(`${key}.`)
    );
  report.problems.push(...validateRun(config, model).filter(({ key }) => isRead(key)));
  if (report.problems.length > 0) {
    const lines = report.problems.map(({ key, message }) => {
      const line = lineOfKey(text, key);
      return `${line === null ? "" : `line ${line}, `}${key}: ${message}`;
    });
    throw refusal(fileName, lines);
  }
  if (config.verificationPercent > 0) {
    report.warnings.push(
      `config.verification_percent ${config.verificationPercent} elects verifiers, a role that clients do not implement; use 0`,
    );
  }
  if (!COMPUTED_ARCHITECTURES.includes(model.architecture)) {
    report.warnings.push(
      `model.LLM.architecture ${model.architecture} is refused by clients, which compute Llama models ` +
        "only; use HfLlama",
    );
  }
  const clients = Math.max(config.minClients, config.initMinClients);
  if (model.optimizer.kind === "AdamW" && clients > 1) {
    report.warnings.push(
      `model.LLM.optimizer AdamW exchanges nothing, so only a run of one client can be trained with ` +
        `it, and this one waits for ${clients}; set config.min_clients and config.init_min_clients to ` +
        "1, or use Distro",
    );
  }
  const problem = unreachableData(model.dataLocation);
  if (problem !== null) report.warnings.push(`model.LLM.data_location ${problem}`);
  return { config, model, warnings: report.warnings };
}

/** Why no client can read such data, although the chain accepts the location; else null. */
function unreachableData(location: DataLocation): string | null {
  if (location.kind === "Local") {
    return "Local is refused by clients, since a directory may differ from machine to machine; serve " +
      'it with data-server and use { Server = "<host>:20001" }';
  }
  if (location.kind !== "Server" || isHostPort(location.address)) return null;
  return `Server "${location.address}" is not host:port`;
}

function refusal(fileName: string, problems: string[], cause?: unknown): PsycheError {
  return new PsycheError(
    "RUN_CONFIG_INVALID",
    `The run configuration ${fileName} cannot be used; correct this and try again:` +
      problems.map((problem) => `\n  ${problem}`).join(""),
    { cause },
  );
}

function parseToml(text: string, fileName: string) {
  try {
    return parse(text, { integersAsBigInt: true });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw refusal(fileName, [message.trim().replaceAll("\n", "\n  ")], cause);
  }
}

function readConfig(fields: TomlFields): CoordinatorConfig {
  const config = {
    warmupTime: fields.u64("warmup_time"),
    cooldownTime: fields.u64("cooldown_time"),
    maxRoundTrainTime: fields.u64("max_round_train_time"),
    roundWitnessTime: fields.u64("round_witness_time"),
    globalBatchSizeWarmupTokens: fields.u64("global_batch_size_warmup_tokens"),
    epochTime: fields.u64("epoch_time"),
    totalSteps: fields.u32("total_steps"),
    initMinClients: fields.u16("init_min_clients"),
    minClients: fields.u16("min_clients"),
    witnessNodes: fields.u16("witness_nodes"),
    globalBatchSizeStart: fields.u16("global_batch_size_start"),
    globalBatchSizeEnd: fields.u16("global_batch_size_end"),
    verificationPercent: fields.u8("verification_percent"),
    waitingForMembersExtraTime: fields.u8("waiting_for_members_extra_time"),
  };
  fields.close();
  return config;
}

function readModel(parent: TomlFields): Model {
  const fields = parent.table("LLM");
  parent.close();
  const model: Model = {
    maxSeqLen: fields.u32("max_seq_len"),
    coldStartWarmupSteps: fields.u32("cold_start_warmup_steps"),
    architecture: fields.choice("architecture", ARCHITECTURES),
    checkpoint: readCheckpoint(fields),
    dataType: fields.choice("data_type", DATA_TYPES),
    dataLocation: readDataLocation(fields),
    lrSchedule: readSchedule(fields),
    optimizer: readOptimizer(fields),
  };
  fields.close();
  return model;
}

function readCheckpoint(fields: TomlFields): Checkpoint {
  const variant = fields.variant("checkpoint", CHECKPOINTS);
  if (variant === null || variant.name === "Ephemeral") return { kind: "Ephemeral" };
  const { name: kind } = variant;
  const content = variant.content.table(kind);
  const checkpoint: Checkpoint = kind === "Gcs" || kind === "P2PGcs"
    ? {
      kind,
      repo: {
        bucket: content.text("bucket", SHORT_TEXT),
        prefix: content.optionalText("prefix", SHORT_TEXT),
      },
    }
    : {
      kind,
      repo: {
        repoId: content.text("repo_id", SHORT_TEXT),
        revision: content.optionalText("revision", SHORT_TEXT),
      },
    };
  content.close();
  return checkpoint;
}

function readDataLocation(fields: TomlFields): DataLocation {
  const variant = fields.variant("data_location", DATA_LOCATIONS);
  if (variant === null || variant.name === "Dummy") return { kind: "Dummy" };
  const { name: kind, content } = variant;
  switch (kind) {
    case "Server":
      return { kind, address: content.text(kind, SHORT_TEXT) };
    case "WeightedHttp":
      return { kind, url: content.text(kind, LONG_TEXT) };
    case "Local":
    case "Preprocessed":
      return { kind, path: content.text(kind, LONG_TEXT) };
    case "Http": {
      const http = content.table(kind);
      const location: DataLocation = {
        kind,
        location: readHttpLocation(http),
        tokenSizeInBytes: http.choice("token_size_in_bytes", TOKEN_SIZES),
        shuffle: readShuffle(http),
      };
      http.close();
      return location;
    }
  }
}

function readShuffle(fields: TomlFields): Shuffle {
  const variant = fields.variant("shuffle", SHUFFLES);
  if (variant === null || variant.name === "DontShuffle") return { kind: "DontShuffle" };
  return { kind: "Seeded", seed: variant.content.bytes("Seeded", 32) };
}

function readHttpLocation(fields: TomlFields): HttpLocation {
  const variant = fields.variant("location", HTTP_LOCATIONS);
  if (variant === null) return { kind: "SingleUrl", url: "" };
  const { name: kind, content } = variant;
  if (kind === "SingleUrl") return { kind, url: content.text(kind, LONG_TEXT) };
  const table = content.table(kind);
  let location: HttpLocation;
  if (kind === "NumberedFiles") {
    location = {
      kind,
      urlTemplate: table.text("url_template", SHORT_TEXT),
      startIndex: table.u32("start_index"),
      nLeftPadZeros: table.u8("n_left_pad_zeros"),
      numFiles: table.u32("num_files"),
    };
    const { urlTemplate } = location;
    if (urlTemplate !== "" && urlTemplate.split("{}").length !== 2) {
      table.problem("url_template", `${JSON.stringify(urlTemplate)} must contain {} exactly once`);
    }
  } else {
    location = {
      kind,
      bucketName: table.text("bucket_name", SHORT_TEXT),
      filterDirectory: table.text("filter_directory", LONG_TEXT),
    };
  }
  table.close();
  return location;
}

function readSchedule(fields: TomlFields): LearningRateSchedule {
  const variant = fields.variant("lr_schedule", SCHEDULES);
  if (variant === null) return { kind: "Constant", baseLr: 0, warmupInitLr: 0, warmupSteps: 0 };
  const { name: kind } = variant;
  const content = variant.content.table(kind);
  const common = {
    baseLr: content.f64("base_lr"),
    warmupInitLr: content.f64("warmup_init_lr"),
    warmupSteps: content.u32("warmup_steps"),
  };
  let schedule: LearningRateSchedule;
  if (kind === "Constant") {
    schedule = { kind, ...common };
  } else if (kind === "WarmupStableDecay") {
    schedule = {
      kind,
      ...common,
      cosineDecayFinalLr: content.f64("cosine_decay_final_lr"),
      linearDecayFinalLr: content.f64("linear_decay_final_lr"),
      stableSteps: content.u32("stable_steps"),
      cosineDecaySteps: content.u32("cosine_decay_steps"),
      linearDecaySteps: content.u32("linear_decay_steps"),
    };
    if (
      schedule.cosineDecayFinalLr > common.baseLr ||
      schedule.linearDecayFinalLr > schedule.cosineDecayFinalLr
    ) {
      content.problem(
        "cosine_decay_final_lr",
        `${schedule.cosineDecayFinalLr} must be at most base_lr (${common.baseLr}) and at least ` +
          `linear_decay_final_lr (${schedule.linearDecayFinalLr})`,
      );
    }
  } else {
    schedule = {
      kind,
      ...common,
      finalLr: content.f64("final_lr"),
      totalSteps: content.u32("total_steps"),
    };
    if (schedule.totalSteps === common.warmupSteps && content.has("total_steps")) {
      content.problem("total_steps", `${schedule.totalSteps} must differ from warmup_steps`);
    }
  }
  content.close();
  return schedule;
}

function readOptimizer(fields: TomlFields): Optimizer {
  const variant = fields.variant("optimizer", OPTIMIZERS);
  if (variant === null || variant.name === "Dummy") return { kind: "Dummy" };
  const { name: kind } = variant;
  const content = variant.content.table(kind);
  const optimizer: Optimizer = kind === "AdamW"
    ? {
      kind,
      betas: content.f32s("betas", 2) as [number, number],
      weightDecay: content.f32("weight_decay"),
      eps: content.f32("eps"),
      clipGradNorm: content.optionalF32("clip_grad_norm"),
    }
    : {
      kind,
      clipGradNorm: content.optionalF32("clip_grad_norm"),
      weightDecay: content.optionalF32("weight_decay"),
      compressionDecay: content.f32("compression_decay"),
      compressionTopk: content.u16("compression_topk"),
      compressionChunk: content.u16("compression_chunk"),
      quantize1bit: content.boolean("quantize_1bit"),
    };
  content.close();
  return optimizer;
}
