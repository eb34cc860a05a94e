import { stringify } from "smol-toml";
import type {
  Checkpoint,
  CoordinatorConfig,
  DataLocation,
  HttpLocation,
  LearningRateSchedule,
  Model,
  Optimizer,
} from "./coordinator_state.ts";

/**
 * A configuration as TOML text that `parseRunConfig` reads back to the same values (TOML integers end
 * at 2^63 - 1, so must the times). docs/protocol/run-config.md sections 2 and 3.
 */
export function formatRunConfig(config: CoordinatorConfig, model: Model): string {
  return stringify({
    config: {
      warmup_time: config.warmupTime,
      cooldown_time: config.cooldownTime,
      max_round_train_time: config.maxRoundTrainTime,
      round_witness_time: config.roundWitnessTime,
      global_batch_size_warmup_tokens: config.globalBatchSizeWarmupTokens,
      epoch_time: config.epochTime,
      total_steps: config.totalSteps,
      init_min_clients: config.initMinClients,
      min_clients: config.minClients,
      witness_nodes: config.witnessNodes,
      global_batch_size_start: config.globalBatchSizeStart,
      global_batch_size_end: config.globalBatchSizeEnd,
      verification_percent: config.verificationPercent,
      waiting_for_members_extra_time: config.waitingForMembersExtraTime,
    },
    model: {
      LLM: {
        architecture: model.architecture,
        data_type: model.dataType,
        max_seq_len: model.maxSeqLen,
        cold_start_warmup_steps: model.coldStartWarmupSteps,
        checkpoint: checkpointTable(model.checkpoint),
        data_location: dataLocationTable(model.dataLocation),
        lr_schedule: scheduleTable(model.lrSchedule),
        optimizer: optimizerTable(model.optimizer),
      },
    },
  }) + "\n";
}

function checkpointTable(checkpoint: Checkpoint): unknown {
  if (checkpoint.kind === "Ephemeral") return checkpoint.kind;
  const content = checkpoint.kind === "Gcs" || checkpoint.kind === "P2PGcs"
    ? { bucket: checkpoint.repo.bucket, prefix: checkpoint.repo.prefix ?? undefined }
    : { repo_id: checkpoint.repo.repoId, revision: checkpoint.repo.revision ?? undefined };
  return { [checkpoint.kind]: content };
}

function dataLocationTable(location: DataLocation): unknown {
  switch (location.kind) {
    case "Dummy":
      return location.kind;
    case "Server":
      return { Server: location.address };
    case "WeightedHttp":
      return { WeightedHttp: location.url };
    case "Local":
    case "Preprocessed":
      return { [location.kind]: location.path };
    case "Http":
      return {
        Http: {
          token_size_in_bytes: location.tokenSizeInBytes,
          shuffle: location.shuffle.kind === "Seeded"
            ? { Seeded: Array.from(location.shuffle.seed) }
            : location.shuffle.kind,
          location: httpLocationTable(location.location),
        },
      };
  }
}

function httpLocationTable(location: HttpLocation): unknown {
  switch (location.kind) {
    case "SingleUrl":
      return { SingleUrl: location.url };
    case "NumberedFiles":
      return {
        NumberedFiles: {
          url_template: location.urlTemplate,
          start_index: location.startIndex,
          n_left_pad_zeros: location.nLeftPadZeros,
          num_files: location.numFiles,
        },
      };
    case "Gcp":
      return {
        Gcp: { bucket_name: location.bucketName, filter_directory: location.filterDirectory },
      };
  }
}

function scheduleTable(schedule: LearningRateSchedule): unknown {
  const common = {
    base_lr: schedule.baseLr,
    warmup_init_lr: schedule.warmupInitLr,
    warmup_steps: schedule.warmupSteps,
  };
  switch (schedule.kind) {
    case "Constant":
      return { Constant: common };
    case "Linear":
    case "Cosine":
      return {
        [schedule.kind]: {
          ...common,
          final_lr: schedule.finalLr,
          total_steps: schedule.totalSteps,
        },
      };
    case "WarmupStableDecay":
      return {
        WarmupStableDecay: {
          ...common,
          stable_steps: schedule.stableSteps,
          cosine_decay_steps: schedule.cosineDecaySteps,
          cosine_decay_final_lr: schedule.cosineDecayFinalLr,
          linear_decay_steps: schedule.linearDecaySteps,
          linear_decay_final_lr: schedule.linearDecayFinalLr,
        },
      };
  }
}

function optimizerTable(optimizer: Optimizer): unknown {
  switch (optimizer.kind) {
    case "Dummy":
      return optimizer.kind;
    case "AdamW":
      return {
        AdamW: {
          betas: optimizer.betas.map(shortest),
          weight_decay: shortest(optimizer.weightDecay),
          eps: shortest(optimizer.eps),
          clip_grad_norm: optional(optimizer.clipGradNorm),
        },
      };
    case "Distro":
      return {
        Distro: {
          clip_grad_norm: optional(optimizer.clipGradNorm),
          weight_decay: optional(optimizer.weightDecay),
          compression_decay: shortest(optimizer.compressionDecay),
          compression_topk: optimizer.compressionTopk,
          compression_chunk: optimizer.compressionChunk,
          quantize_1bit: optimizer.quantize1bit,
        },
      };
  }
}

function optional(value: number | null): number | undefined {
  return value === null ? undefined : shortest(value);
}

/** The shortest decimal that is the same single-precision number: 0.999, not 0.9990000128746033. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
