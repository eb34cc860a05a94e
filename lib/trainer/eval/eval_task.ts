/** Evaluation tasks: what they ask and how they are judged. */

export interface Question {
  /** What stands before everything once, with its blank line; also tells apart kinds of examples. */
  preamble: string;
  context: string;
  choices: string[];
  /** Index of the right choice. */
  answer: number;
  /** What follows the context, after a space, in a solved example. */
  solution: string;
}

export type Metric = "acc" | "acc_norm" | "acc_uncond";

/** For tasks in which the model writes its answer instead of being offered choices. */
export interface FreeAnswer {
  maxNewTokens: number;
  /** Nothing is written from this text on. */
  stop: string;
  /** Index of the choice that a written answer names; -1 when it names none. */
  chosen(text: string): number;
}

export interface EvalTask {
  name: string;
  /** Data set on the Hub; local data lies in a directory named after the task. */
  dataset: string;
  /** The data set's parts that belong to the task; none means all of it. */
  subsets: readonly string[];
  split: string;
  fewShotSplit: string;
  /** The one of the metrics that counts. */
  metric: Metric;
  /** Whether `acc_uncond` is computed as well. */
  unconditional: boolean;
  /** Examples are taken from the beginning instead of being drawn. */
  firstExamples: boolean;
  /** Solved examples before each question unless another number is asked for. */
  shots: number;
  /** A running average is reported when more than this share of the documents is in it. */
  reportedFrom: number;
  /** Absent: choices are scored. */
  freeAnswer?: FreeAnswer;
  /** One row of the data, of that subset. @throws PsycheError `DATA_COLUMN_INVALID` */
  read(row: Record<string, unknown>, subset: string | undefined): Question;
}

/** The name as the task table has it: case and punctuation do not matter. */
export function plainTaskName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "_");
}

/** Names of choices that have no other. */
export const LETTERS = "ABCDEFGHIJ";

/** Each option in a line of its own behind its letter. */
export function letteredOptions(options: readonly string[]): string {
  return options.map((text, i) => `${LETTERS[i]}. ${text}\n`).join("");
}
