/** DisTrO as an optimizer: docs/protocol/training-math.md section 3.2, steps A to G, and 3.3. */
import type { Optimizer as OptimizerSettings } from "../protocol/coordinator_state.ts";
import { applyResults } from "./distro/apply.ts";
import { createCompressor } from "./distro/compress.ts";
import { decodeInto } from "./distro/decode.ts";
import { distroLayout } from "./distro/layout.ts";
import type { Parameter } from "./model/model_directory.ts";
import type { Optimizer } from "./optimizer.ts";
import type { OnnxRuntime } from "./runtime/onnx_runtime.ts";
import type { SparseParameter } from "./trainer.ts";

type DistroSettings = Extract<OptimizerSettings, { kind: "Distro" }>;

/** What this client generated itself, with values as they were before quantization. */
interface OwnResult {
  round: number;
  result: SparseParameter[];
}

export async function createDistro(
  ort: OnnxRuntime,
  settings: DistroSettings,
  parameters: readonly Parameter[],
  threads: number,
): Promise<Optimizer> {
  const hyper = { chunk: settings.compressionChunk, topk: settings.compressionTopk };
  const layouts = parameters.map(({ shape }) => distroLayout(shape, hyper));
  const compressor = await createCompressor(ort, parameters, {
    ...hyper,
    oneBit: settings.quantize1bit,
    threads,
  });
  const residuals = new Map(
    parameters.map(({ name, data }) => [name, new Float32Array(data.length)]),
  );
  // Subtracting and adding back would not restore every bit: the weights are copied instead.
  const backup = parameters.map(({ data }) => new Float32Array(data.length));
  const longest = Math.max(...parameters.map(({ data }) => data.length));
  const decoded = new Float32Array(longest);
  let shifted = false;
  let own: OwnResult[] = [];

  return {
    reset() {
      own = [];
      for (const residual of residuals.values()) residual.fill(0);
    },

    lookAhead(previousLr) {
      shifted = true;
      parameters.forEach(({ name, data }, p) => {
        const residual = residuals.get(name)!;
        const copy = backup[p];
        for (let i = 0; i < data.length; i++) {
          // The sign without a branch: residuals are random, and a mispredicted branch costs most.
          const x = residual[i];
          const weight = data[i];
          copy[i] = weight;
          data[i] = weight - (Number(x > 0) - Number(x < 0)) * previousLr;
        }
      });
    },

    restore() {
      if (!shifted) return;
      parameters.forEach(({ data }, p) => data.set(backup[p]));
      shifted = false;
    },

    async step({ gradients, lr, round }) {
      // A round number that fell back means a new epoch, which subtracts nothing of the old one.
      own = own.filter((entry) => entry.round === round - 1 || entry.round === round);
      const isFirstOfRound = !own.some((entry) => entry.round === round);
      const previous = own.filter((entry) => entry.round === round - 1);
      const { compressionDecay: decay } = settings;
      parameters.forEach(({ name }, p) => {
        const residual = residuals.get(name)!;
        const gradient = gradients.get(name)!;
        if (previous.length === 0) {
          for (let i = 0; i < residual.length; i++) {
            residual[i] = residual[i] * decay + lr * gradient[i];
          }
          return;
        }
        const sent = decoded.subarray(0, residual.length);
        decodeInto(sent, previous.map((entry) => entry.result[p]), layouts[p]);
        for (let i = 0; i < residual.length; i++) {
          residual[i] = (residual[i] - sent[i]) * decay + lr * gradient[i];
        }
      });
      const { full, sent } = await compressor.compress(residuals);
      own.push({ round, result: full });
      const keep = 1 - lr * (settings.weightDecay ?? 0);
      // Once a round: clients that train more batches than others must not shrink their weights more.
      if (keep !== 1 && isFirstOfRound) {
        for (const { data } of parameters) {
          for (let i = 0; i < data.length; i++) data[i] *= keep;
        }
      }
      return sent;
    },

    apply(results, lr) {
      applyResults(parameters, results, lr, hyper);
    },

    release: () => compressor.release(),
  };
}
