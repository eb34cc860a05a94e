/** The trainer's main-thread side: a typed proxy of the worker that does the work. */
import { PsycheError } from "../error.ts";
import { type AbortFlag, createAbortFlag, raise } from "./abort_flag.ts";
import type { SparseParameter, Trainer, TrainerOptions, TrainRequest } from "./trainer.ts";
import type { TrainerMethods } from "./trainer_methods.ts";
import { WorkerClient } from "./worker_client.ts";

/**
 * Loads a model and starts its trainer in a worker.
 *
 * Aborting `options.signal` while the model loads stops the worker; later it does nothing.
 *
 * @throws PsycheError `MODEL_NOT_FOUND`, `MODEL_FILES_MISSING`, `MODEL_TOO_LARGE`, `MODEL_CONFIG_INVALID`, `MODEL_PARAMETER_INVALID`,
 * `TRAINER_OPTION_INVALID`, `OPTIMIZER_UNSUPPORTED`, `TRAINER_ABORTED`, `DEVICE_UNAVAILABLE`
 */
export async function createTrainer(options: TrainerOptions): Promise<Trainer> {
  const { signal, ...engineOptions } = options;
  const aborted = () =>
    new PsycheError("TRAINER_ABORTED", "Loading the model was aborted; create the trainer again.");
  if (signal?.aborted) throw aborted();
  const client = new WorkerClient<TrainerMethods>(new URL("./worker.ts", import.meta.url));
  const stop = () => client.end(aborted());
  signal?.addEventListener("abort", stop);
  try {
    const model = "files" in options.model
      ? {
        files: options.model.files,
        parameters: new Map(
          [...options.model.parameters].map(([name, data]) => [name, compact(data)]),
        ),
      }
      : options.model;
    const summary = await client.call("open", { ...engineOptions, model });
    return proxy(client, summary);
  } catch (error) {
    client.end(aborted());
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

function proxy(
  client: WorkerClient<TrainerMethods>,
  summary: Awaited<ReturnType<TrainerMethods["open"]>>,
): Trainer {
  let closing: Promise<void> | undefined;
  return {
    ...summary,
    train: (request, signal) =>
      abortable(signal, (abort) => client.call("train", compactRequest(request), abort)),
    apply: (request) => {
      const results = request.results.map((result) => result.map(compactSparse));
      return client.call("apply", { ...request, results });
    },
    evaluate: (tokens, batch) => client.call("evaluate", compact(tokens), batch),
    score: (tokens, count) => client.call("score", tokens, count),
    generate: (prompt, options, signal) =>
      abortable(signal, (abort) => client.call("generate", prompt, options, abort)),
    weightsSha256: () => client.call("weightsSha256"),
    weightsFingerprint: () => client.call("weightsFingerprint"),
    parameter: (name) => client.call("parameter", name),
    saveCheckpoint: (directory, format) => client.call("saveCheckpoint", directory, format),
    close: () => closing ??= close(client),
  };
}

/** Carries the abort of `signal` over to a worker that is in the middle of a call. */
async function abortable<Answer>(
  signal: AbortSignal | undefined,
  call: (abort: AbortFlag) => Promise<Answer>,
): Promise<Answer> {
  const abort = createAbortFlag();
  const stop = () => raise(abort);
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop);
  try {
    return await call(abort);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

async function close(client: WorkerClient<TrainerMethods>): Promise<void> {
  // A worker that has failed already has nothing left to release.
  await client.call("release").catch(() => {});
  client.end(new PsycheError("TRAINER_CLOSED", "The trainer is closed; create a new one."));
}

/** Cloning a view copies all of its buffer, which may be a whole network message: cut it out. */
function compact<View extends Int32Array | Uint8Array | Float32Array>(view: View): View {
  return (view.byteLength === view.buffer.byteLength ? view : view.slice()) as View;
}

function compactRequest({ tokens, labels, positionIds, ...rest }: TrainRequest): TrainRequest {
  return {
    ...rest,
    tokens: compact(tokens),
    labels: labels && compact(labels),
    positionIds: positionIds && compact(positionIds),
  };
}

function compactSparse(sparse: SparseParameter): SparseParameter {
  return { ...sparse, indices: compact(sparse.indices), values: compact(sparse.values) };
}
