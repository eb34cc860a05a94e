/** One task from its data to its result: docs/protocol/training-math.md section 7. */
import { PsycheError } from "../../error.ts";
import { shuffleSeeded } from "../../protocol/rand_shuffle.ts";
import { evalRows } from "./eval_rows.ts";
import type { EvalTask, Metric, Question } from "./eval_task.ts";
import { scoreQuestion, type ScoringModel } from "./score_question.ts";

export interface EvalResult {
  task: string;
  documents: number;
  /** Share of right choices by metric. */
  metrics: Partial<Record<Metric, number>>;
  /** The metric that counts, its value and the standard error of it. */
  metric: Metric;
  value: number;
  standardError: number;
}

export interface EvalOptions {
  /** Directory with the task's data. */
  directory: string;
  /** Documents at most, from the beginning. */
  maxDocuments?: number;
  /** Solved examples before each question. Default 0. */
  shots?: number;
  /** Chooses the examples. Default 42. */
  seed?: number;
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

/** @throws PsycheError `DATA_UNAVAILABLE`, `DATA_COLUMN_INVALID`; the signal's reason when aborted */
export async function evaluateTask(
  model: ScoringModel,
  task: EvalTask,
  options: EvalOptions,
): Promise<EvalResult> {
  const { directory, maxDocuments = Infinity, shots = 0, seed = 42, onProgress, signal } = options;
  const read = async (split: string, most: number) => {
    const questions: Question[] = [];
    for await (const row of evalRows(directory, split, task.subset)) {
      signal?.throwIfAborted();
      if (questions.length >= most) break;
      questions.push(task.read(row));
    }
    return questions;
  };
  const questions = await read(task.split, maxDocuments);
  if (questions.length === 0) {
    throw new PsycheError(
      "DATA_UNAVAILABLE",
      `The data of ${task.name} in ${directory} has no rows; fetch it again.`,
    );
  }
  const examples = shots === 0 ? [] : await read(task.fewShotSplit, Infinity);
  if (!task.firstExamples) shuffleSeeded(examples, exampleSeed(seed));
  const right: Partial<Record<Metric, number>> = {};
  for (const [i, question] of questions.entries()) {
    signal?.throwIfAborted();
    const context = withExamples(question, examples, shots);
    const found = await scoreQuestion(model, context, question, task.unconditional);
    for (const [metric, isRight] of Object.entries(found) as [Metric, boolean][]) {
      right[metric] = (right[metric] ?? 0) + Number(isRight);
    }
    onProgress?.(i + 1, questions.length);
  }
  const documents = questions.length;
  const metrics = Object.fromEntries(
    Object.entries(right).map(([metric, count]) => [metric, count / documents]),
  ) as EvalResult["metrics"];
  const value = metrics[task.metric]!;
  return {
    task: task.name,
    documents,
    metrics,
    metric: task.metric,
    value,
    standardError: Math.sqrt(value * (1 - value) / Math.max(1, documents - 1)),
  };
}

/** The question behind solved ones of its kind. */
function withExamples(question: Question, examples: Question[], shots: number): string {
  const solved = examples
    .filter(({ preamble }) => preamble === question.preamble)
    .slice(0, shots)
    .map(({ context, choices, answer }) => `${context} ${choices[answer]}\n\n`);
  return question.preamble + solved.join("") + question.context;
}

/** Zeros and the seed's eight bytes, most significant first. */
function exampleSeed(seed: number): Uint8Array {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setBigUint64(24, BigInt(seed));
  return bytes;
}
