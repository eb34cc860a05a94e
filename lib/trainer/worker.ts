/** The trainer's worker: takes calls, carries them out in order, answers each. */
import { PsycheError } from "../error.ts";
import { TrainingEngine } from "./training_engine.ts";
import { type Call, type Reply, toPortable, type WorkerMethods } from "./worker_protocol.ts";

/** The part of a worker's global scope that is used; the library types describe a window. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<Call>) => void) | null;
  postMessage(reply: Reply, transfer: Transferable[]): void;
}
const scope = globalThis as unknown as WorkerScope;

let opened: TrainingEngine | undefined;

function engine(): TrainingEngine {
  if (opened !== undefined) return opened;
  throw new PsycheError("TRAINER_CLOSED", "The trainer has no model loaded; create a new trainer.");
}

const methods: WorkerMethods = {
  open: async (options) => (opened = await TrainingEngine.create(options)).summary(),
  train: (request, abort) => engine().train(request, () => Atomics.load(abort, 0) === 1),
  apply: (request) => engine().apply(request),
  evaluate: (tokens, batch) => engine().evaluate(tokens, batch),
  generate: (prompt, options) => engine().generate(prompt, options),
  weightsSha256: () => engine().weightsSha256(),
  parameter: (name) => engine().parameter(name),
  saveCheckpoint: (directory) => engine().saveCheckpoint(directory),
  release: async () => {
    await opened?.release();
    opened = undefined;
  },
};

async function carryOut({ id, method, arguments: values }: Call): Promise<void> {
  try {
    // The arguments belong to this method: both come from one typed call of the proxy.
    const call = methods[method] as (...values: unknown[]) => unknown;
    const value = await call(...values);
    // A parameter's copy is large and not needed here any more: it moves.
    const moved = value instanceof Float32Array ? [value.buffer as ArrayBuffer] : [];
    scope.postMessage({ id, value }, moved);
  } catch (error) {
    scope.postMessage({ id, error: toPortable(error) }, []);
  }
}

let last: Promise<void> = Promise.resolve();
scope.onmessage = ({ data }) => {
  last = last.then(() => carryOut(data));
};
