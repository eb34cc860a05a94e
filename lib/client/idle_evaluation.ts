/** Evaluation of the model in training, only while there is nothing to train. */
import { PsycheError } from "../error.ts";
import type { EventSink } from "../events/event.ts";
import { type EvalModel, evalModelOfTrainer } from "../trainer/eval/eval_model.ts";
import type { LoadedTask } from "../trainer/eval/load_task.ts";
import { TaskRun } from "../trainer/eval/task_run.ts";
import type { Trainer } from "../trainer/trainer.ts";
import { longestText } from "./longest_text.ts";
import { LONGEST_PROMPT, type PromptReport, type PromptTask } from "./prompt_task.ts";

/** What idle work adds to a witness message, docs/protocol/client-lifecycle.md section 7.6. */
export interface IdleReport extends PromptReport {
  evals: { name: string; value: number }[];
}

/** What may use the trainer while nobody else needs it. */
export interface IdleWork {
  /** Nobody needs the trainer until `stop`, at that step of the run. */
  begin(trainer: Trainer, step: number): void;
  /** The trainer is needed: it is free within one pass through the model. */
  stop(): void;
  /** Takes what is to be reported. */
  report(): IdleReport;
}

export interface IdleEvaluationOptions {
  tasks: LoadedTask[];
  prompt?: PromptTask;
  emit: EventSink;
  /** Uniform in [0, 1). */
  random?: () => number;
}

/** Documents of one task before it is another one's turn. */
const TURN = 10;
/** Evaluations that a witness message has room for. */
const MAX_REPORTED = 8;
/** The trainer was taken away, which may happen between two epochs. */
const GONE = new Set(["TRAINER_CLOSED", "TRAINER_FAILED"]);

/**
 * Tasks take turns in random order and go on where they stopped, docs/protocol/training-math.md
 * section 7. No document is asked twice in one idle time: the answers would be the same. Nothing that
 * fails here ends the client; a task that fails is given up.
 */
export class IdleEvaluation implements IdleWork {
  readonly #emit: EventSink;
  readonly #random: () => number;
  #runs: TaskRun[];
  #prompt: PromptTask | undefined;
  #idle = new AbortController();
  #working: Promise<void> = Promise.resolve();
  /** The trainer's model; its tokenizer is loaded once. */
  #known: { trainer: Trainer; model: EvalModel | null } | null = null;

  constructor({ tasks, prompt, emit, random = Math.random }: IdleEvaluationOptions) {
    this.#runs = tasks.map((task) => new TaskRun(task));
    this.#prompt = prompt;
    this.#emit = emit;
    this.#random = random;
  }

  begin(trainer: Trainer, step: number): void {
    this.stop();
    const { signal } = this.#idle = new AbortController();
    this.#working = this.#working.then(() => this.#work(trainer, step, signal));
  }

  stop(): void {
    this.#idle.abort();
  }

  /** Tokens of the longest text that the trainer will read and write, about. */
  get longestText(): number {
    const prompt = this.#prompt === undefined ? 0 : LONGEST_PROMPT;
    return Math.max(prompt, ...this.#runs.map(({ loaded }) => longestText(loaded)));
  }

  /** Stops; resolves when the trainer is not used any more. */
  async close(): Promise<void> {
    this.stop();
    await this.#working;
  }

  report(): IdleReport {
    const evals = this.#runs.flatMap((run) =>
      run.value === null ? [] : [{ name: run.loaded.task.name, value: run.value }]
    );
    const prompt = this.#prompt?.take() ?? { promptIndex: 0, promptResults: [] };
    return { evals: evals.slice(0, MAX_REPORTED), ...prompt };
  }

  async #work(trainer: Trainer, step: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const model = this.#modelOf(trainer);
    if (model === null) return;
    await this.#writeOn(model, signal);
    const left = new Map(this.#runs.map((run) => [run, run.total]));
    const asked = new Set<TaskRun>();
    while (left.size > 0 && !signal.aborted) {
      for (const run of this.#shuffled([...left.keys()])) {
        const wanted = left.get(run)!;
        const done = await this.#turn(run, model, Math.min(TURN, wanted), signal);
        if (done > 0) asked.add(run);
        if (done === wanted || done < Math.min(TURN, wanted)) left.delete(run);
        else left.set(run, wanted - done);
      }
    }
    for (const run of asked) this.#tell(run, step);
  }

  /** @returns how many documents were answered, fewer than `count` when it has to stop */
  async #turn(
    run: TaskRun,
    model: EvalModel,
    count: number,
    signal: AbortSignal,
  ): Promise<number> {
    let done = 0;
    try {
      while (done < count && !signal.aborted && await run.next(model, signal)) done++;
    } catch (error) {
      if (this.#failed(`Evaluation of ${run.loaded.task.name}`, error)) {
        this.#runs = this.#runs.filter((other) => other !== run);
      }
    }
    return done;
  }

  async #writeOn(model: EvalModel, signal: AbortSignal): Promise<void> {
    try {
      const finished = await this.#prompt?.goOn(model, signal);
      if (finished) this.#emit({ type: "prompted", ...finished });
    } catch (error) {
      if (this.#failed("The prompt task", error)) this.#prompt = undefined;
    }
  }

  #tell({ loaded: { task }, metrics, value, documents, total }: TaskRun, step: number): void {
    this.#emit({
      type: "evaluated",
      step,
      task: task.name,
      metric: task.metric,
      average: metrics[task.metric] ?? 0,
      documents,
      total,
      reported: value !== null,
    });
  }

  #modelOf(trainer: Trainer): EvalModel | null {
    if (this.#known?.trainer === trainer) return this.#known.model;
    let model: EvalModel | null = null;
    try {
      model = evalModelOfTrainer(trainer);
      if (model === null) throw new Error("the model has no tokenizer");
    } catch (error) {
      this.#failed("Evaluation", error);
    }
    this.#known = { trainer, model };
    return model;
  }

  /** Whether the failure is the work's own, so that it would only repeat itself. */
  #failed(what: string, error: unknown): boolean {
    if (error instanceof PsycheError && GONE.has(error.code)) return false;
    const code = error instanceof PsycheError ? error.code : "EVALUATION_FAILED";
    const reason = error instanceof Error ? error.message : String(error);
    this.#emit({ type: "warning", code, message: `${what} is given up: ${reason}` });
    return true;
  }

  #shuffled<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = Math.floor(this.#random() * (i + 1));
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }
}
