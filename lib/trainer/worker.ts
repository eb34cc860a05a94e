/** The trainer's worker. */
import { PsycheError } from "../error.ts";
import { TrainingEngine } from "./training_engine.ts";
import type { TrainerMethods } from "./trainer_methods.ts";
import { serveCalls } from "./worker_server.ts";

let opened: TrainingEngine | undefined;

function engine(): TrainingEngine {
  if (opened !== undefined) return opened;
  throw new PsycheError("TRAINER_CLOSED", "The trainer has no model loaded; create a new trainer.");
}

const methods: TrainerMethods = {
  open: async (options) => (opened = await TrainingEngine.create(options)).summary(),
  train: (request, abort) => engine().train(request, abort),
  apply: (request) => engine().apply(request),
  evaluate: (tokens, batch) => engine().evaluate(tokens, batch),
  score: (tokens, count) => engine().score(tokens, count),
  generate: (prompt, options, abort) => engine().generate(prompt, options, abort),
  weightsSha256: () => engine().weightsSha256(),
  weightsFingerprint: () => engine().weightsFingerprint(),
  parameter: (name) => engine().parameter(name),
  saveCheckpoint: (directory, format) => engine().saveCheckpoint(directory, format),
  release: async () => {
    await opened?.release();
    opened = undefined;
  },
};

// Arrays are copies of a parameter: large, and not needed here any more.
serveCalls(
  methods,
  (answer) => answer instanceof Float32Array ? [answer.buffer as ArrayBuffer] : [],
);
