/** A task with its documents: docs/protocol/training-math.md section 7. */
import { join } from "node:path";
import { PsycheError } from "../../error.ts";
import { shuffleSeeded } from "../../protocol/rand_shuffle.ts";
import { evalRows } from "./eval_rows.ts";
import type { EvalTask, Question } from "./eval_task.ts";

export interface LoadOptions {
  /** Directory with the task's data. */
  directory: string;
  /** Documents at most, from the beginning. */
  maxDocuments?: number;
  /** Solved examples before each question. Default: as the task has it. */
  shots?: number;
  /** Chooses the examples, an unsigned whole number. Default 42. */
  seed?: number;
  signal?: AbortSignal;
}

export interface LoadedTask {
  task: EvalTask;
  questions: Question[];
  /** What the model reads before it answers. */
  prompt(question: Question): string;
}

/** @throws PsycheError `DATA_UNAVAILABLE`, `DATA_COLUMN_INVALID`; the signal's reason when aborted */
export async function loadTask(task: EvalTask, options: LoadOptions): Promise<LoadedTask> {
  const { directory, maxDocuments = Infinity, shots = task.shots, seed = 42, signal } = options;
  const read = async (split: string, most: number) => {
    const questions: Question[] = [];
    const readRow = (row: Record<string, unknown>, subset: string) => {
      try {
        return task.read(row, subset);
      } catch (cause) {
        if (!(cause instanceof PsycheError)) throw cause;
        const place = `Row ${questions.length + 1} of ${task.name}'s ${split} in ${directory}`;
        throw new PsycheError(cause.code, `${place}: ${cause.message}`, { cause });
      }
    };
    for (const { subset, rows } of parts(task, directory, split)) {
      if (questions.length >= most) break;
      for await (const row of rows()) {
        signal?.throwIfAborted();
        if (questions.length >= most) break;
        questions.push(readRow(row, subset));
      }
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
  return { task, questions, prompt: (question) => withExamples(question, examples, shots) };
}

/** One of many subsets has a directory of its own; a single one may be all that there is. */
function parts({ subsets }: EvalTask, directory: string, split: string) {
  if (subsets.length > 1) {
    return subsets.map((subset) => ({
      subset,
      rows: () => evalRows(join(directory, subset), split, undefined),
    }));
  }
  const [subset] = subsets;
  return [{ subset, rows: () => evalRows(directory, split, subset) }];
}

/** The question behind solved ones of its kind. */
function withExamples(question: Question, examples: Question[], shots: number): string {
  const solved = examples
    .filter(({ preamble }) => preamble === question.preamble)
    .slice(0, shots)
    .map(({ context, solution }) => `${context} ${solution}\n\n`);
  return question.preamble + solved.join("") + question.context;
}

/** Zeros and the seed's eight bytes, most significant first. */
function exampleSeed(seed: number): Uint8Array {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setBigUint64(24, BigInt(seed));
  return bytes;
}
