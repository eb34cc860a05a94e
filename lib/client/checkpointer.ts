import { join } from "node:path";
import { PsycheError } from "../error.ts";
import type { EventSink } from "../events/event.ts";
import type { CoordinatorState } from "../protocol/coordinator_state.ts";
import { ensureWritable } from "../trainer/atomic_file.ts";
import { weightsOfDirectory } from "../trainer/model/model_directory.ts";
import { checkpointPlace } from "../trainer/resolve_checkpoint.ts";
import type { Trainer, WeightFormat } from "../trainer/trainer.ts";
import type { CheckpointSubject, CheckpointTarget } from "./checkpoint_target.ts";
import { recordWhenPossible } from "./record_when_possible.ts";
import type { RunChain } from "./run_chain.ts";

export interface CheckpointerOptions {
  /** Checkpoints are saved below it. */
  directory: string;
  format: WeightFormat;
  /** How many of this process stay on the disk; null keeps all. */
  keepSteps: number | null;
  /** Where they go besides; null leaves them on the disk and the chain as it is. */
  target: CheckpointTarget | null;
  chain: Pick<RunChain, "read" | "checkpoint">;
  /** Wallet of the client, 32 bytes. */
  signer: Uint8Array;
  emit: EventSink;
}

/**
 * Keeps what an epoch made of the weights: saves them, makes them available to others and tells the
 * chain where they are, so that the run goes on from there when all of its members are gone.
 * docs/protocol/client-lifecycle.md sections 8.1 to 8.5.
 *
 * Whatever fails is told by an event and costs that checkpoint only.
 */
export class Checkpointer {
  readonly #options: CheckpointerOptions;
  /** Aborted when the client ends. */
  readonly #ending = new AbortController();
  /** Uploads, one after the other. */
  #uploads: Promise<void> = Promise.resolve();
  #unfinished = 0;
  #newest = -1;
  /** Directories that this process wrote, oldest first. */
  readonly #written: string[] = [];

  constructor(options: CheckpointerOptions) {
    this.#options = options;
  }

  /** @throws PsycheError `OUTPUT_UNWRITABLE`, or when uploading or recording can never work */
  async check(signal: AbortSignal): Promise<void> {
    await this.#options.target?.check(signal);
    await ensureWritable(this.#options.directory);
  }

  /**
   * Saves the weights; resolves when they are on the disk and may change again. What comes after goes
   * on in the background.
   *
   * @param state the one that ended the epoch
   */
  async save(trainer: Trainer, state: CoordinatorState): Promise<void> {
    const { runId, progress: { epoch, step: next } } = state;
    const subject = { runId, epoch, step: Math.max(0, next - 1) };
    const { directory, emit } = this.#options;
    const path = join(directory, checkpointName(subject));
    const saved = await this.#attempt("save", subject, async () => {
      const weightsSha256 = await trainer.weightsSha256();
      await this.#write(trainer, path, weightsSha256);
      emit({ type: "checkpoint", path, step: subject.step, weights_sha256: weightsSha256 });
      return true;
    });
    if (!saved) return;
    this.#newest = subject.step;
    this.#unfinished++;
    this.#uploads = this.#uploads.then(() => this.#finish(path, subject))
      .finally(() => this.#unfinished--);
  }

  /** Waits for uploads, but no longer for a moment in which the chain would take a checkpoint. */
  async close(): Promise<void> {
    if (this.#unfinished > 0 && this.#options.target !== null && !this.#ending.signal.aborted) {
      this.#options.emit({ type: "waiting", reason: "a checkpoint is still on its way to others" });
    }
    this.#ending.abort();
    await this.#uploads;
  }

  /** Another client that shares the directory may have written the same weights already. */
  async #write(trainer: Trainer, path: string, weightsSha256: string): Promise<void> {
    try {
      await trainer.saveCheckpoint(path, this.#options.format);
      this.#written.push(path);
    } catch (error) {
      const isThere = error instanceof PsycheError && error.code === "MODEL_DIRECTORY_EXISTS";
      if (!isThere || await weightsOfDirectory(path) !== weightsSha256) throw error;
    }
  }

  /** Publishes, records and cleans up. */
  async #finish(path: string, subject: CheckpointSubject): Promise<void> {
    const { target, chain, signer, emit } = this.#options;
    const { step } = subject;
    if (target !== null) {
      if (step < this.#newest) {
        return emit({
          type: "warning",
          code: "CHECKPOINT_SKIPPED",
          message: `Step ${step} was not uploaded before step ${this.#newest} was saved; ` +
            "the newer one is uploaded instead.",
        });
      }
      const published = await this.#attempt(
        "upload",
        subject,
        () => target.publish(path, subject),
      );
      if (!published) return;
      const place = checkpointPlace(published);
      const recorded = await this.#attempt(
        "record",
        subject,
        () => recordWhenPossible(chain, signer, published, this.#ending.signal),
      );
      if (!recorded) return;
      const { signature, feeLamports } = recorded;
      emit({ type: "transaction", name: "checkpoint", signature, fee_lamports: feeLamports });
      emit({ type: "checkpoint_recorded", step, place, signature });
    }
    await this.#attempt("delete", subject, () => this.#deleteOld());
  }

  async #deleteOld(): Promise<true> {
    const { keepSteps } = this.#options;
    while (keepSteps !== null && this.#written.length > keepSteps) {
      await Deno.remove(this.#written.shift()!, { recursive: true });
    }
    return true;
  }

  /** The result of one step, or null after telling why there is none. */
  async #attempt<T>(
    stage: "save" | "upload" | "record" | "delete",
    { step }: CheckpointSubject,
    work: () => Promise<T>,
  ): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      const code = error instanceof PsycheError ? error.code : "CHECKPOINT_FAILED";
      const message = error instanceof Error ? error.message : String(error);
      this.#options.emit({ type: "checkpoint_failed", step, stage, code, message });
      return null;
    }
  }
}

/** Name of a checkpoint's directory. */
export function checkpointName({ runId, step }: Omit<CheckpointSubject, "epoch">): string {
  return `${runId}-step${step}`;
}
