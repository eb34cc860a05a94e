/**
 * Processes that train the same model, each in its own way, one step at a time on command. They
 * answer a command on stdin (one JSON object a line) with a {@linkcode Measurement} on stdout.
 */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { ReadableStream as NodeStream } from "node:stream/web";
import { PsycheError } from "../../error.ts";

export interface Measurement {
  milliseconds: number;
  /** Time on the processor, all threads together: says more than the clock on a busy machine. */
  processorMilliseconds: number;
  /** In runs of graphs, those for two halves at once counted once; for PyTorch the whole. */
  graphMilliseconds: number;
  /** In loops over all weights: clipping, update, DisTrO; 0 for contestants whose graph does it all. */
  kernelMilliseconds: number;
  /** Of these, what all optimizers share: sums of gradients, and their norm for clipping. */
  sharedMilliseconds: number;
  /** Largest resident size of the process so far. */
  peakBytes: number;
  loss?: number;
}

export type Action = "product" | "step" | "apply";

/** What a contestant builds, told to it as its last argument, in JSON. */
export interface ContestantTask {
  /** Directory with config.json and model.safetensors. */
  directory: string;
  batch: number;
  sequenceLength: number;
  threads: number;
  productEdge: number;
  optimizer: "adamw" | "distro";
}

export class Contestant {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;

  /** Starts `command`, to which the task is appended. */
  constructor([program, ...args]: string[], task: ContestantTask) {
    this.#child = new Deno.Command(program, {
      args: [...args, JSON.stringify(task)],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#stdin = this.#child.stdin.getWriter();
    const stdout = Readable.fromWeb(this.#child.stdout as unknown as NodeStream);
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** @throws PsycheError `BENCH_PROCESS_ENDED` */
  async measure(action: Action): Promise<Measurement> {
    await this.#stdin.write(new TextEncoder().encode(JSON.stringify(action) + "\n"));
    const { value, done } = await this.#lines.next();
    if (done) {
      throw new PsycheError(
        "BENCH_PROCESS_ENDED",
        `A measured process ended when told "${action}"; see its messages above.`,
      );
    }
    return JSON.parse(value);
  }

  async end(): Promise<void> {
    await this.#stdin.close().catch(() => {});
    await this.#child.status;
  }
}
