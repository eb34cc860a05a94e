/** Going through the documents of a task again and again: docs/protocol/training-math.md section 7. */
import type { EvalModel } from "./eval_model.ts";
import type { Metric } from "./eval_task.ts";
import type { LoadedTask } from "./load_task.ts";
import { scoreQuestion } from "./score_question.ts";
import { writeAnswer } from "./write_answer.ts";

type Verdict = Partial<Record<Metric, boolean>>;

/** One task's place in its documents, and running averages over as many verdicts as there are documents. */
export class TaskRun {
  readonly loaded: LoadedTask;
  /** The latest verdict on each document, in the order of the documents. */
  readonly #verdicts: Verdict[] = [];
  #next = 0;
  /** Tokens of an answer that is not complete yet. */
  #written: number[] = [];

  constructor(loaded: LoadedTask) {
    this.loaded = loaded;
  }

  /** Documents in all, and those that the averages are made of. */
  get total(): number {
    return this.loaded.questions.length;
  }

  get documents(): number {
    return this.#verdicts.length;
  }

  /**
   * Asks the next document; after the last one comes the first again, whose old verdict drops out.
   *
   * @returns false when aborted before there was a verdict; it is the next document then as well, and
   *   a written answer is taken up where it stopped
   */
  async next(model: EvalModel, signal?: AbortSignal): Promise<boolean> {
    const { task, questions, prompt } = this.loaded;
    const question = questions[this.#next];
    const context = prompt(question);
    let verdict: Verdict | null;
    if (task.freeAnswer === undefined) {
      const isAborted = () => signal?.aborted ?? false;
      verdict = await scoreQuestion(model, context, question, task.unconditional, isAborted);
    } else {
      const text = await writeAnswer(model, context, task.freeAnswer, this.#written, signal);
      verdict = text === null ? null : { acc: task.freeAnswer.chosen(text) === question.answer };
    }
    if (verdict === null) return false;
    this.#written = [];
    this.#verdicts[this.#next] = verdict;
    this.#next = (this.#next + 1) % questions.length;
    return true;
  }

  /** Share of right answers by metric; empty before the first document. */
  get metrics(): Partial<Record<Metric, number>> {
    const count = this.#verdicts.length;
    return Object.fromEntries(
      Object.keys(this.#verdicts[0] ?? {}).map((name) => {
        const right = this.#verdicts.filter((verdict) => verdict[name as Metric]).length;
        return [name, right / count];
      }),
    );
  }

  /** The metric that counts, or null while too few documents were asked. */
  get value(): number | null {
    const { metric, reportedFrom } = this.loaded.task;
    if (this.documents <= reportedFrom * this.total) return null;
    return this.metrics[metric] ?? null;
  }
}
