import type { Optimizer } from "../protocol/coordinator_state.ts";
import { createTrainer } from "../trainer/create_trainer.ts";
import { loadTokenizer } from "../trainer/tokenizer/tokenizer.ts";

/** What a model directory is worth. */
export interface Judgement {
  /** Mean loss on held-out text, nats per token. */
  loss: number;
  /** SHA-256 of the loaded weights, hex. */
  weightsSha256: string;
  weightsFingerprint: string;
  /** Continuation of the prompt. */
  sample: string;
}

/**
 * Loads a model directory from disk as anybody would and measures it on text that no client trained
 * on.
 *
 * @param tokens row-major [sequences, sequenceLength] token ids
 */
export async function judgeCheckpoint(options: {
  directory: string;
  tokens: Int32Array;
  sequenceLength: number;
  optimizer: Optimizer;
  threads: number;
  prompt: string;
  newTokens: number;
  seed: number;
  signal?: AbortSignal;
}): Promise<Judgement> {
  const { directory, tokens, sequenceLength, signal } = options;
  const trainer = await createTrainer({
    model: { directory },
    sequenceLength,
    microBatchSize: 8,
    optimizer: options.optimizer,
    threads: options.threads,
    signal,
  });
  try {
    const loss = await trainer.evaluate(tokens, tokens.length / sequenceLength);
    let sample = "";
    if (options.newTokens > 0 && trainer.files.tokenizer !== null) {
      const tokenizer = loadTokenizer(trainer.files.tokenizer);
      const ids = await trainer.generate(tokenizer.encode(options.prompt), {
        maxNewTokens: options.newTokens,
        temperature: 0.7,
        seed: options.seed,
      });
      sample = tokenizer.decode(ids);
    }
    return {
      loss,
      weightsSha256: await trainer.weightsSha256(),
      weightsFingerprint: await trainer.weightsFingerprint(),
      sample,
    };
  } finally {
    await trainer.close();
  }
}
