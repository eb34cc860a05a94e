/** jax-js as a rival that may be missing: its process downloads the library, and may fail to. */
import { fileURLToPath } from "node:url";
import { Contestant, type ContestantTask, type Measurement } from "./contestant.ts";
import { compareSteps, type Rival } from "./times.ts";

/** The process stands outside this project, so that its settings and its lock file stay as they are. */
const COMMAND = [
  Deno.execPath(),
  "run",
  "--quiet",
  "--no-config",
  "--no-lock",
  "--no-prompt",
  "--allow-read",
  fileURLToPath(new URL("jax_contestant.ts", import.meta.url)),
];

export class JaxRival {
  readonly #contestant: Contestant;
  readonly #warmUp: number;
  readonly #steps: Measurement[] = [];
  #failed = false;

  /** @param warmUp steps before the first that counts */
  constructor(task: ContestantTask, warmUp: number, command = COMMAND) {
    this.#contestant = new Contestant(command, task);
    this.#warmUp = warmUp;
  }

  /** Trains a step, unless its process has failed. */
  async takeTurn(): Promise<void> {
    if (this.#failed) return;
    try {
      this.#steps.push(await this.#contestant.measure("step"));
    } catch {
      this.#failed = true;
    }
  }

  /** The comparison, or in words why there is none. */
  comparedWith(ours: Measurement[]): Rival | string {
    if (!this.#failed) return compareSteps(this.#steps, ours, this.#warmUp);
    return "jax-js did not run, see the message above (it is downloaded from the npm registry)";
  }

  async end(): Promise<void> {
    await this.#contestant.end();
  }
}
