/** The model block of the coordinator account, docs/protocol/onchain-coordinator.md section 1.5. */
import { PsycheError } from "../error.ts";
import type {
  Architecture,
  Checkpoint,
  DataLocation,
  HttpLocation,
  LearningRateSchedule,
  Model,
  Optimizer,
} from "./coordinator_state.ts";
import { LONG_TEXT, SHORT_TEXT } from "./limits.ts";
import { MemoryImage, utf8Length } from "./memory_image.ts";

/** First byte after the block. */
const BLOCK_END = 968;
const BLOCK_START = 416;

/** Names in the order of their tags; they are also the variant names of the TOML file. */
export const ARCHITECTURES = ["HfLlama", "HfDeepseek", "HfAuto", "Torchtitan"] as const;
/** What clients of this toolkit compute; the chain accepts others too. */
export const COMPUTED_ARCHITECTURES: readonly Architecture[] = ["HfLlama", "HfAuto"];
export const CHECKPOINTS = ["Ephemeral", "Dummy", "Hub", "P2P", "Gcs", "P2PGcs"] as const;
export const DATA_TYPES = ["Pretraining", "Finetuning"] as const;
export const DATA_LOCATIONS = [
  "Dummy",
  "Server",
  "Local",
  "Http",
  "WeightedHttp",
  "Preprocessed",
] as const;
export const HTTP_LOCATIONS = ["SingleUrl", "NumberedFiles", "Gcp"] as const;
export const TOKEN_SIZES = ["TwoBytes", "FourBytes"] as const;
export const SHUFFLES = ["DontShuffle", "Seeded"] as const;
export const SCHEDULES = ["Constant", "Linear", "Cosine", "WarmupStableDecay"] as const;
export const OPTIMIZERS = ["Dummy", "AdamW", "Distro"] as const;

/** Looks up an enum tag. @throws PsycheError `COORDINATOR_ACCOUNT_INVALID`. */
export function tagName<T>(names: readonly T[], tag: number, field: string): T {
  if (tag >= names.length) {
    throw new PsycheError(
      "COORDINATOR_ACCOUNT_INVALID",
      `The coordinator account holds the unknown value ${tag} in ${field}; it was written by another ` +
        `version of the program, or it is not a coordinator account: check the run id and the program id.`,
    );
  }
  return names[tag];
}

function fit(field: string, text: string, size: number): string {
  if (utf8Length(text) > size || text.includes("\0")) {
    throw new PsycheError(
      "TEXT_TOO_LONG",
      `${field} ${
        JSON.stringify(text)
      } does not fit its ${size} bytes of UTF-8 without zero bytes; shorten it.`,
    );
  }
  return text;
}

/** Writes a text that must fit. @throws PsycheError `TEXT_TOO_LONG`. */
export function writeText(
  image: MemoryImage,
  at: number,
  size: number,
  text: string,
  field: string,
): void {
  image.setText(at, size, fit(field, text, size));
}

/** Decodes the model from a whole account image. @throws PsycheError `COORDINATOR_ACCOUNT_INVALID`. */
export function readModel(image: MemoryImage): Model {
  tagName(["LLM"], image.u32(416), "model");
  return {
    maxSeqLen: image.u32(424),
    coldStartWarmupSteps: image.u32(428),
    architecture: tagName<Architecture>(ARCHITECTURES, image.u32(432), "model.architecture"),
    checkpoint: readCheckpoint(image),
    dataType: tagName(DATA_TYPES, image.u32(572), "model.data_type"),
    dataLocation: readDataLocation(image),
    lrSchedule: readSchedule(image),
    optimizer: readOptimizer(image),
  };
}

/** Writes the model into a whole account image, with zeros in every unused byte. */
export function writeModel(image: MemoryImage, model: Model): void {
  image.bytes.fill(0, BLOCK_START, BLOCK_END);
  image.setU32(424, model.maxSeqLen);
  image.setU32(428, model.coldStartWarmupSteps);
  image.setU32(432, ARCHITECTURES.indexOf(model.architecture));
  writeCheckpoint(image, model.checkpoint);
  image.setU32(572, DATA_TYPES.indexOf(model.dataType));
  writeDataLocation(image, model.dataLocation);
  writeSchedule(image, model.lrSchedule);
  writeOptimizer(image, model.optimizer);
}

function readCheckpoint(image: MemoryImage): Checkpoint {
  const kind = tagName(CHECKPOINTS, image.u32(436), "model.checkpoint");
  if (kind === "Ephemeral") return { kind };
  // The optional half comes first in memory.
  const optional = tagName([false, true], image.u8(440), "model.checkpoint option")
    ? image.text(441, SHORT_TEXT)
    : null;
  const required = image.text(505, SHORT_TEXT);
  return kind === "Gcs" || kind === "P2PGcs"
    ? { kind, repo: { bucket: required, prefix: optional } }
    : { kind, repo: { repoId: required, revision: optional } };
}

function writeCheckpoint(image: MemoryImage, checkpoint: Checkpoint): void {
  image.setU32(436, CHECKPOINTS.indexOf(checkpoint.kind));
  if (checkpoint.kind === "Ephemeral") return;
  const [required, optional] = checkpoint.kind === "Gcs" || checkpoint.kind === "P2PGcs"
    ? [checkpoint.repo.bucket, checkpoint.repo.prefix]
    : [checkpoint.repo.repoId, checkpoint.repo.revision];
  image.setU8(440, optional === null ? 0 : 1);
  writeText(image, 441, SHORT_TEXT, optional ?? "", "checkpoint revision or prefix");
  writeText(image, 505, SHORT_TEXT, required, "checkpoint repo_id or bucket");
}

function readDataLocation(image: MemoryImage): DataLocation {
  const kind = tagName(DATA_LOCATIONS, image.u32(576), "model.data_location");
  switch (kind) {
    case "Dummy":
      return { kind };
    case "Server":
      return { kind, address: image.text(580, SHORT_TEXT) };
    case "WeightedHttp":
      return { kind, url: image.text(580, LONG_TEXT) };
    case "Local":
    case "Preprocessed":
      return { kind, path: image.text(580, LONG_TEXT) };
    case "Http":
      return {
        kind,
        location: readHttpLocation(image),
        tokenSizeInBytes: tagName(TOKEN_SIZES, image.u32(840), "token_size_in_bytes"),
        shuffle: tagName(SHUFFLES, image.u32(844), "shuffle") === "Seeded"
          ? { kind: "Seeded", seed: image.copy(848, 32) }
          : { kind: "DontShuffle" },
      };
  }
}

function readHttpLocation(image: MemoryImage): HttpLocation {
  const kind = tagName(HTTP_LOCATIONS, image.u32(580), "model.data_location.Http.location");
  switch (kind) {
    case "SingleUrl":
      return { kind, url: image.text(584, LONG_TEXT) };
    case "NumberedFiles":
      return {
        kind,
        urlTemplate: image.text(584, SHORT_TEXT),
        startIndex: image.u32(648),
        nLeftPadZeros: image.u8(652),
        numFiles: image.u32(656),
      };
    case "Gcp":
      return {
        kind,
        bucketName: image.text(584, SHORT_TEXT),
        filterDirectory: image.text(648, LONG_TEXT),
      };
  }
}

function writeDataLocation(image: MemoryImage, location: DataLocation): void {
  image.setU32(576, DATA_LOCATIONS.indexOf(location.kind));
  switch (location.kind) {
    case "Dummy":
      return;
    case "Server":
      return writeText(image, 580, SHORT_TEXT, location.address, "data server address");
    case "WeightedHttp":
      return writeText(image, 580, LONG_TEXT, location.url, "data URL");
    case "Local":
    case "Preprocessed":
      return writeText(image, 580, LONG_TEXT, location.path, "data path");
    case "Http":
      writeHttpLocation(image, location.location);
      image.setU32(840, TOKEN_SIZES.indexOf(location.tokenSizeInBytes));
      image.setU32(844, SHUFFLES.indexOf(location.shuffle.kind));
      if (location.shuffle.kind === "Seeded") image.set(848, location.shuffle.seed);
  }
}

function writeHttpLocation(image: MemoryImage, location: HttpLocation): void {
  image.setU32(580, HTTP_LOCATIONS.indexOf(location.kind));
  switch (location.kind) {
    case "SingleUrl":
      return writeText(image, 584, LONG_TEXT, location.url, "data URL");
    case "NumberedFiles":
      writeText(image, 584, SHORT_TEXT, location.urlTemplate, "url_template");
      image.setU32(648, location.startIndex);
      image.setU8(652, location.nLeftPadZeros);
      image.setU32(656, location.numFiles);
      return;
    case "Gcp":
      writeText(image, 584, SHORT_TEXT, location.bucketName, "bucket_name");
      writeText(image, 648, LONG_TEXT, location.filterDirectory, "filter_directory");
  }
}

function readSchedule(image: MemoryImage): LearningRateSchedule {
  const kind = tagName(SCHEDULES, image.u32(880), "model.lr_schedule");
  const baseLr = image.f64(888);
  const warmupInitLr = image.f64(896);
  switch (kind) {
    case "Constant":
      return { kind, baseLr, warmupInitLr, warmupSteps: image.u32(904) };
    case "Linear":
    case "Cosine":
      return {
        kind,
        baseLr,
        warmupInitLr,
        finalLr: image.f64(904),
        warmupSteps: image.u32(912),
        totalSteps: image.u32(916),
      };
    case "WarmupStableDecay":
      return {
        kind,
        baseLr,
        warmupInitLr,
        cosineDecayFinalLr: image.f64(904),
        linearDecayFinalLr: image.f64(912),
        warmupSteps: image.u32(920),
        stableSteps: image.u32(924),
        cosineDecaySteps: image.u32(928),
        linearDecaySteps: image.u32(932),
      };
  }
}

function writeSchedule(image: MemoryImage, schedule: LearningRateSchedule): void {
  image.setU32(880, SCHEDULES.indexOf(schedule.kind));
  image.setF64(888, schedule.baseLr);
  image.setF64(896, schedule.warmupInitLr);
  switch (schedule.kind) {
    case "Constant":
      return image.setU32(904, schedule.warmupSteps);
    case "Linear":
    case "Cosine":
      image.setF64(904, schedule.finalLr);
      image.setU32(912, schedule.warmupSteps);
      return image.setU32(916, schedule.totalSteps);
    case "WarmupStableDecay":
      image.setF64(904, schedule.cosineDecayFinalLr);
      image.setF64(912, schedule.linearDecayFinalLr);
      image.setU32(920, schedule.warmupSteps);
      image.setU32(924, schedule.stableSteps);
      image.setU32(928, schedule.cosineDecaySteps);
      return image.setU32(932, schedule.linearDecaySteps);
  }
}

function readOptionalF32(image: MemoryImage, at: number, field: string): number | null {
  return tagName([false, true], image.u32(at), field) ? image.f32(at + 4) : null;
}

function writeOptionalF32(image: MemoryImage, at: number, value: number | null): void {
  image.setU32(at, value === null ? 0 : 1);
  image.setF32(at + 4, value ?? 0);
}

function readOptimizer(image: MemoryImage): Optimizer {
  const kind = tagName(OPTIMIZERS, image.u32(936), "model.optimizer");
  switch (kind) {
    case "Dummy":
      return { kind };
    case "AdamW":
      return {
        kind,
        betas: [image.f32(940), image.f32(944)],
        weightDecay: image.f32(948),
        eps: image.f32(952),
        clipGradNorm: readOptionalF32(image, 956, "clip_grad_norm option"),
      };
    case "Distro":
      return {
        kind,
        clipGradNorm: readOptionalF32(image, 940, "clip_grad_norm option"),
        weightDecay: readOptionalF32(image, 948, "weight_decay option"),
        compressionDecay: image.f32(956),
        compressionTopk: image.u16(960),
        compressionChunk: image.u16(962),
        quantize1bit: tagName([false, true], image.u8(964), "quantize_1bit"),
      };
  }
}

function writeOptimizer(image: MemoryImage, optimizer: Optimizer): void {
  image.setU32(936, OPTIMIZERS.indexOf(optimizer.kind));
  switch (optimizer.kind) {
    case "Dummy":
      return;
    case "AdamW":
      image.setF32(940, optimizer.betas[0]);
      image.setF32(944, optimizer.betas[1]);
      image.setF32(948, optimizer.weightDecay);
      image.setF32(952, optimizer.eps);
      return writeOptionalF32(image, 956, optimizer.clipGradNorm);
    case "Distro":
      writeOptionalF32(image, 940, optimizer.clipGradNorm);
      writeOptionalF32(image, 948, optimizer.weightDecay);
      image.setF32(956, optimizer.compressionDecay);
      image.setU16(960, optimizer.compressionTopk);
      image.setU16(962, optimizer.compressionChunk);
      image.setU8(964, optimizer.quantize1bit ? 1 : 0);
  }
}
