import type { Optimizer } from "../../lib/protocol/coordinator_state.ts";
import { sha256 } from "../../lib/protocol/sha256.ts";
import { ResultApplier } from "../../lib/trainer/distro/apply.ts";
import { weightsFingerprint } from "../../lib/trainer/kernels/fingerprint.ts";
import { distroLayout } from "../../lib/trainer/distro/layout.ts";
import { encodeIndices } from "../../lib/trainer/distro/index_encoding.ts";
import { encodeSigns } from "../../lib/trainer/distro/value_encoding.ts";
import type {
  ApplyResponse,
  DistroResult,
  Trainer,
  TrainRequest,
  TrainResponse,
} from "../../lib/trainer/trainer.ts";

const HYPER = { chunk: 8, topk: 2 };
export const SIMULATED_OPTIMIZER: Optimizer = {
  kind: "Distro",
  clipGradNorm: null,
  weightDecay: null,
  compressionDecay: 0.999,
  compressionTopk: HYPER.topk,
  compressionChunk: HYPER.chunk,
  quantize1bit: true,
};

/** A disk that all clients share. */
export type SimulatedCheckpoints = Map<string, ReadonlyMap<string, Float32Array<ArrayBuffer>>>;

/**
 * A trainer without a model: its "gradient" is a hash of its weights and its data. The update is the
 * real DisTrO apply, so two clients that apply different results, or the same ones in another state,
 * end with different weights. With AdamW it changes its weights when it trains.
 */
export class SimulatedTrainer implements Trainer {
  readonly numParameters = 128n;
  readonly devices = ["cpu"] as const;
  readonly vocabSize = 16;
  readonly parameters = [{ name: "a.weight", shape: [8, 8] }, { name: "b.weight", shape: [64] }];
  readonly files = { config: "simulated", tokenizer: null };
  readonly weights = new Map<string, Float32Array<ArrayBuffer>>();
  /** Where checkpoints go, by directory; nowhere when null. */
  checkpoints: SimulatedCheckpoints | null = null;
  readonly #duration: () => number;
  readonly #optimizer: Optimizer;
  #nonce = 0;

  /** @param duration wall milliseconds that training a batch takes */
  constructor(
    duration: () => number,
    weights?: ReadonlyMap<string, Float32Array<ArrayBuffer>>,
    optimizer = SIMULATED_OPTIMIZER,
  ) {
    this.#duration = duration;
    this.#optimizer = optimizer;
    for (const { name } of this.parameters) {
      this.weights.set(name, weights?.get(name)?.slice() ?? new Float32Array(64).fill(1));
    }
  }

  async train(request: TrainRequest, signal?: AbortSignal): Promise<TrainResponse> {
    await new Promise((resolve) => setTimeout(resolve, this.#duration()));
    signal?.throwIfAborted();
    const noise = sha256(
      new TextEncoder().encode(await this.weightsSha256()),
      new Uint8Array(request.tokens.buffer),
    );
    if (this.#optimizer.kind === "AdamW") {
      for (const weights of this.weights.values()) {
        weights.forEach((_, i) => weights[i] += (noise[i % 32] - 128) * request.lr);
      }
      return { loss: 1, result: [], nonce: this.#nonce++, milliseconds: 1 };
    }
    const result: DistroResult = this.parameters.map(({ shape }, p) => {
      const { blocks, k, totalk, xshape } = distroLayout(shape, HYPER);
      const indices = new Int32Array(blocks * k);
      const values = new Float32Array(blocks * k);
      for (let i = 0; i < indices.length; i++) {
        // Two different entries of each block, one in either half.
        indices[i] = Math.floor(noise[(i + p) % 32] % (totalk / k)) + (i % k) * (totalk / k);
        values[i] = noise[(i + p + 7) % 32] < 128 ? -1 : 1;
      }
      return {
        xshape,
        totalk,
        k,
        indices: encodeIndices(indices, totalk),
        values: encodeSigns(values),
        oneBit: true,
      };
    });
    return { loss: 1, result, nonce: this.#nonce++, milliseconds: 1 };
  }

  async apply(request: { lr: number; results: DistroResult[] }): Promise<ApplyResponse> {
    const data = this.parameters.map((parameter) => ({
      ...parameter,
      data: this.weights.get(parameter.name)!,
    }));
    if (this.#optimizer.kind === "Distro") {
      new ResultApplier(data, HYPER).apply(request.results, request.lr);
    } else if (request.results.some((result) => result.length > 0)) {
      throw new Error("AdamW got results to apply");
    }
    return { weightsFingerprint: await this.weightsFingerprint(), milliseconds: 0 };
  }

  weightsFingerprint(): Promise<string> {
    return Promise.resolve(weightsFingerprint([...this.weights.values()])());
  }

  weightsSha256(): Promise<string> {
    const parts = this.parameters.map(({ name }) => new Uint8Array(this.weights.get(name)!.buffer));
    return Promise.resolve(sha256(...parts).toHex());
  }

  evaluate(): Promise<number> {
    return Promise.resolve(1);
  }

  score(_tokens: readonly number[], count: number): Promise<Float32Array> {
    return Promise.resolve(new Float32Array(count).fill(-1));
  }

  generate(): Promise<number[]> {
    return Promise.resolve([]);
  }

  parameter(name: string): Promise<Float32Array<ArrayBuffer>> {
    return Promise.resolve(this.weights.get(name)!.slice());
  }

  saveCheckpoint(directory: string): Promise<void> {
    const copies = [...this.weights].map(([name, data]) => [name, data.slice()] as const);
    this.checkpoints?.set(directory, new Map(copies));
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
