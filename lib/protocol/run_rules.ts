/** What the chain demands of a configuration; docs/protocol/run-config.md section 5. */
import type {
  Checkpoint,
  CoordinatorConfig,
  DataLocation,
  HttpLocation,
  Model,
} from "./coordinator_state.ts";
import { MAX_CLIENTS, MAX_WITNESSES } from "./limits.ts";
import { panic } from "./panic.ts";

/** One broken rule. */
export interface RunProblem {
  /** Dotted TOML key, for example `config.warmup_time`. */
  key: string;
  /** What was found and what is demanded. */
  message: string;
  /** Name of the error with which the chain refuses. */
  code: "ConfigSanityCheckFailed" | "ModelSanityCheckFailed";
}

/** Every rule of `[config]` that is broken. */
export function configProblems(config: CoordinatorConfig): RunProblem[] {
  const problems: RunProblem[] = [];
  const demand = (ok: boolean, key: string, value: bigint | number, rule: string) => {
    if (ok) return;
    problems.push({
      key: `config.${key}`,
      message: `${value} must be ${rule}`,
      code: "ConfigSanityCheckFailed",
    });
  };
  const c = config;
  demand(c.epochTime > 0n, "epoch_time", c.epochTime, "at least 1");
  demand(
    c.warmupTime < c.epochTime,
    "warmup_time",
    c.warmupTime,
    `below epoch_time (${c.epochTime})`,
  );
  demand(
    c.maxRoundTrainTime > 0n && c.maxRoundTrainTime < c.epochTime,
    "max_round_train_time",
    c.maxRoundTrainTime,
    `at least 1 and below epoch_time (${c.epochTime})`,
  );
  demand(c.roundWitnessTime > 0n, "round_witness_time", c.roundWitnessTime, "at least 1");
  demand(c.minClients > 0, "min_clients", c.minClients, "at least 1");
  demand(
    c.initMinClients >= c.minClients && c.initMinClients <= MAX_CLIENTS,
    "init_min_clients",
    c.initMinClients,
    `from min_clients (${c.minClients}) to ${MAX_CLIENTS}`,
  );
  demand(
    c.globalBatchSizeStart > 0,
    "global_batch_size_start",
    c.globalBatchSizeStart,
    "at least 1",
  );
  demand(
    c.globalBatchSizeEnd > 0 && c.globalBatchSizeEnd >= c.globalBatchSizeStart,
    "global_batch_size_end",
    c.globalBatchSizeEnd,
    `at least 1 and at least global_batch_size_start (${c.globalBatchSizeStart})`,
  );
  demand(c.totalSteps > 0, "total_steps", c.totalSteps, "at least 1");
  demand(
    c.witnessNodes <= c.minClients && c.witnessNodes <= MAX_WITNESSES,
    "witness_nodes",
    c.witnessNodes,
    `at most min_clients (${c.minClients}) and at most ${MAX_WITNESSES}`,
  );
  demand(c.cooldownTime > 0n, "cooldown_time", c.cooldownTime, "at least 1");
  demand(
    c.waitingForMembersExtraTime > 0,
    "waiting_for_members_extra_time",
    c.waitingForMembersExtraTime,
    "at least 1",
  );
  return problems;
}

/** Every rule of `[model.LLM]` that is broken. */
export function modelProblems(model: Model): RunProblem[] {
  const problems: RunProblem[] = [];
  const refuse = (key: string, message: string) =>
    problems.push({ key: `model.LLM.${key}`, message, code: "ModelSanityCheckFailed" });
  if (model.maxSeqLen === 0) refuse("max_seq_len", "0 must be at least 1");
  const empty = emptyDataField(model.dataLocation);
  if (empty !== null) refuse(`data_location.${empty}`, "must not be empty");
  const checkpoint = checkpointProblem(model.checkpoint);
  if (checkpoint !== null) refuse(...checkpoint);
  if (model.optimizer.kind === "Dummy") {
    refuse("optimizer", '"Dummy" is refused by the chain: use Distro or AdamW');
  }
  return problems;
}

/**
 * The rule that ties the cold start to the length of an epoch, or null.
 *
 * @throws PsycheError `PROGRAM_PANIC` for a configuration that is not set yet.
 */
export function coldStartProblem(config: CoordinatorConfig, model: Model): RunProblem | null {
  const steps = BigInt(model.coldStartWarmupSteps);
  if (steps === 0n) return null;
  const { epochTime, warmupTime, maxRoundTrainTime } = config;
  if (maxRoundTrainTime === 0n || warmupTime > epochTime) {
    return panic("the cold start is checked against a configuration without epoch times");
  }
  const rounds = (epochTime - warmupTime) / maxRoundTrainTime;
  if (steps <= rounds) return null;
  return {
    key: "model.LLM.cold_start_warmup_steps",
    message: `${steps} must be at most ${rounds}, the rounds of max_round_train_time ` +
      `(${maxRoundTrainTime}) that fit between warmup_time (${warmupTime}) and epoch_time (${epochTime})`,
    code: "ConfigSanityCheckFailed",
  };
}

/** Everything that the chain would refuse when this configuration is sent and the run is resumed. */
export function validateRun(config: CoordinatorConfig, model: Model): RunProblem[] {
  const problems = configProblems(config);
  const coldStart = problems.length === 0 ? coldStartProblem(config, model) : null;
  return [...problems, ...modelProblems(model), ...(coldStart ? [coldStart] : [])];
}

/** Key of the data location's field that must not be empty but is, or null. */
function emptyDataField(location: DataLocation): string | null {
  switch (location.kind) {
    case "Dummy":
    case "Local":
      return null;
    case "Server":
      return location.address === "" ? "Server" : null;
    case "WeightedHttp":
      return location.url === "" ? "WeightedHttp" : null;
    case "Preprocessed":
      return location.path === "" ? "Preprocessed" : null;
    case "Http": {
      const field = emptyHttpField(location.location);
      return field === null ? null : `Http.location.${field}`;
    }
  }
}

function emptyHttpField(location: HttpLocation): string | null {
  switch (location.kind) {
    case "SingleUrl":
      return location.url === "" ? "SingleUrl" : null;
    case "NumberedFiles":
      if (location.urlTemplate === "") return "NumberedFiles.url_template";
      return location.numFiles === 0 ? "NumberedFiles.num_files" : null;
    case "Gcp":
      return location.bucketName === "" ? "Gcp.bucket_name" : null;
  }
}

function checkpointProblem(checkpoint: Checkpoint): [string, string] | null {
  switch (checkpoint.kind) {
    case "Ephemeral":
      return ["checkpoint", '"Ephemeral" is refused by the chain: nobody could load it'];
    case "Dummy":
      return null;
    case "Hub":
    case "P2P":
      return checkpoint.repo.repoId === ""
        ? [`checkpoint.${checkpoint.kind}.repo_id`, "must not be empty"]
        : null;
    case "Gcs":
    case "P2PGcs":
      return checkpoint.repo.bucket === ""
        ? [`checkpoint.${checkpoint.kind}.bucket`, "must not be empty"]
        : null;
  }
}
