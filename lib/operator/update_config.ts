/** Changes the configuration of a halted run; commands.md section 7.2, run-config.md section 4. */
import { PsycheError } from "../error.ts";
import { dataIndexForStep } from "../protocol/batch_size.ts";
import {
  type CoordinatorConfig,
  type CoordinatorProgress,
  type CoordinatorState,
  type Model,
  type RunMetadata,
  RunState,
} from "../protocol/coordinator_state.ts";
import { DESCRIPTION_BYTES, SHORT_TEXT } from "../protocol/limits.ts";
import { validateRun } from "../protocol/run_config.ts";
import { isHalted, runStateText } from "../protocol/run_state.ts";
import type { OperatorContext } from "./context.ts";
import { type FieldChange, fieldChanges } from "./field_changes.ts";
import { type OwnerChange, ownerInstructions } from "./owner_change.ts";
import { checkBalance } from "./preflight.ts";
import { throwProblems } from "./problems.ts";
import { checkOwner, readRun, type RunOnChain } from "./read_run.ts";
import { type Outcome, submit } from "./submit.ts";

/** What to change; absent parts stay as they are on chain. */
export interface ConfigUpdate {
  /** From a configuration file. */
  file?: { config: CoordinatorConfig; model: Model };
  /** A P2P or Dummy checkpoint becomes a Hub one with the same repository. */
  switchToHub?: boolean;
  /** Continue at this step; the epoch stays. */
  restartFromStep?: number;
  name?: string;
  description?: string;
  numParameters?: bigint;
  vocabSize?: bigint;
  clientVersion?: string;
  treasurerIndex?: bigint;
}

export interface ConfigUpdateResult {
  runId: string;
  changes: FieldChange[];
  /** Null when the chain has all of it already, or when a dry run would first have to halt the run. */
  outcome: Outcome | null;
  /** Of the transaction before it, which name, description and sizes needed for themselves; else null. */
  metadataOutcome: Outcome | null;
}

type Outcomes = Pick<ConfigUpdateResult, "outcome" | "metadataOutcome">;

const NOTHING_SENT: Outcomes = { outcome: null, metadataOutcome: null };

/** The parts of an update that differ from the chain. */
interface Parts {
  metadata: RunMetadata | null;
  config: CoordinatorConfig | null;
  model: Model | null;
  progress: CoordinatorProgress | null;
  clientVersion: string | null;
  changes: FieldChange[];
}

const FEE_ALLOWANCE = 10_000;

/**
 * @param halt brings a running run to a standstill when the change needs that, after all other checks;
 * without it such a change is refused
 * @throws PsycheError RUN_NOT_FOUND, NOT_RUN_OWNER, RUN_NOT_HALTED, RUN_FINISHED,
 * RUN_CONFIG_INVALID, TEXT_TOO_LONG, BALANCE_TOO_LOW, PREFLIGHT_FAILED
 */
export async function updateConfig(
  context: OperatorContext,
  runId: string,
  update: ConfigUpdate,
  halt?: (run: RunOnChain) => Promise<void>,
): Promise<ConfigUpdateResult> {
  let run = await readRun(context, runId, update.treasurerIndex);
  let parts = changedParts(run.state, update);
  if (parts.changes.length === 0) return { runId, changes: [], ...NOTHING_SENT };
  const mustHalt = needsHalt(parts) && !isHalted(run.state.runState);
  throwProblems([
    ...checkOwner(context, run),
    ...checkTexts(update),
    ...checkUnfinished(run),
    ...(mustHalt && halt === undefined ? [notHalted(run)] : []),
    ...checkRules(run.state, parts),
    ...await checkBalance(context, FEE_ALLOWANCE, "updating the configuration"),
  ]);
  if (mustHalt && halt !== undefined) {
    await halt(run);
    // The program would refuse a trial of the update while the run is running.
    if (context.dryRun) return { runId, changes: parts.changes, ...NOTHING_SENT };
    // Epoch and step went on until the run stood still.
    run = await readRun(context, runId, update.treasurerIndex);
    parts = changedParts(run.state, update);
  }
  return { runId, changes: parts.changes, ...await send(context, run, parts) };
}

/** One transaction; where that is too large, the texts go in one of their own before it. */
async function send(context: OperatorContext, run: RunOnChain, parts: Parts): Promise<Outcomes> {
  const submitChange = (change: OwnerChange) =>
    submit(context, {
      label: `update run "${run.runId}"`,
      instructions: ownerInstructions(context, run, change),
    });
  try {
    return { outcome: await submitChange(parts), metadataOutcome: null };
  } catch (error) {
    const isTooLarge = error instanceof PsycheError && error.code === "TRANSACTION_TOO_LARGE";
    if (!isTooLarge || parts.metadata === null) throw error;
  }
  const metadataOutcome = await submitChange({ metadata: parts.metadata });
  return { outcome: await submitChange({ ...parts, metadata: null }), metadataOutcome };
}

function changedParts(state: CoordinatorState, update: ConfigUpdate): Parts {
  const config = update.file?.config ?? state.config;
  const model = withHub(update.file?.model ?? state.model, update.switchToHub ?? false);
  const metadata: RunMetadata = {
    name: update.name ?? state.metadata.name,
    description: update.description ?? state.metadata.description,
    numParameters: update.numParameters ?? state.metadata.numParameters,
    vocabSize: update.vocabSize ?? state.metadata.vocabSize,
  };
  const progress: CoordinatorProgress = update.restartFromStep === undefined ? state.progress : {
    epoch: state.progress.epoch,
    step: update.restartFromStep,
    epochStartDataIndex: dataIndexForStep(config, model.maxSeqLen, update.restartFromStep),
  };
  const changes: FieldChange[] = [];
  const ifChanged = <T>(name: string, before: T, after: T): T | null => {
    const found = fieldChanges(name, before, after);
    changes.push(...found);
    return found.length === 0 ? null : after;
  };
  return {
    config: ifChanged("config", state.config, config),
    model: ifChanged("model", state.model, model),
    progress: ifChanged("progress", state.progress, progress),
    metadata: ifChanged("metadata", state.metadata, metadata),
    clientVersion: ifChanged(
      "client_version",
      state.clientVersion,
      update.clientVersion ?? state.clientVersion,
    ),
    changes,
  };
}

function withHub(model: Model, switchToHub: boolean): Model {
  const { checkpoint } = model;
  if (!switchToHub || (checkpoint.kind !== "P2P" && checkpoint.kind !== "Dummy")) return model;
  return { ...model, checkpoint: { kind: "Hub", repo: checkpoint.repo } };
}

/** Name, description and sizes can be changed at any time. */
function needsHalt({ config, model, progress, clientVersion }: Parts): boolean {
  return [config, model, progress, clientVersion].some((part) => part !== null);
}

function checkUnfinished({ runId, state }: RunOnChain): PsycheError[] {
  if (state.runState !== RunState.Finished) return [];
  return [
    new PsycheError(
      "RUN_FINISHED",
      `The run "${runId}" is finished and can no longer be changed; create a new run.`,
    ),
  ];
}

function notHalted({ runId, state }: RunOnChain): PsycheError {
  const then = state.pendingPause
    ? "a pause is pending: wait until it is Paused"
    : "add --apply to pause, update and resume it in one go";
  return new PsycheError(
    "RUN_NOT_HALTED",
    `The run "${runId}" is in the state "${runStateText(state.runState)}", where only its ` +
      `name, description and sizes can be changed; ${then}.`,
  );
}

/** Every rule the program applies, before anything is paid; run-config.md section 5. */
function checkRules(state: CoordinatorState, parts: Parts): PsycheError[] {
  if (parts.config === null && parts.model === null) return [];
  const problems = validateRun(parts.config ?? state.config, parts.model ?? state.model);
  if (problems.length === 0) return [];
  return [
    new PsycheError(
      "RUN_CONFIG_INVALID",
      `The program would refuse this configuration: ${problems.join("; ")}.`,
    ),
  ];
}

function checkTexts({ name, description }: ConfigUpdate): PsycheError[] {
  const limits: [string, string | undefined, number][] = [
    ["name", name, SHORT_TEXT],
    ["description", description, DESCRIPTION_BYTES],
  ];
  return limits.flatMap(([field, value, limit]) => {
    const length = new TextEncoder().encode(value ?? "").length;
    return length <= limit ? [] : [
      new PsycheError(
        "TEXT_TOO_LONG",
        `The ${field} has ${length} bytes of UTF-8 and the account holds ${limit}; shorten it.`,
      ),
    ];
  });
}
