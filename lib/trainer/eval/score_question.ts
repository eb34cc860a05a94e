/** Which choice a model takes: docs/protocol/training-math.md section 7, log-likelihood scoring. */
import type { LanguageModel } from "../inference/language_model.ts";
import type { Metric, Question } from "./eval_task.ts";

/** The part of a language model that scoring needs. */
export type ScoringModel = Pick<LanguageModel, "score"> & {
  tokenizer: Pick<LanguageModel["tokenizer"], "encode">;
};

/** What stands before a choice whose plain likelihood is wanted. */
const NO_CONTEXT = "Answer:";

/**
 * Whether the model's choice is right, by each metric: the sum of log-probabilities, the same per
 * UTF-8 byte of the choice, and (if `unconditional`) less what the choice has without the question.
 */
export async function scoreQuestion(
  model: ScoringModel,
  context: string,
  { choices, answer }: Question,
  unconditional: boolean,
): Promise<Partial<Record<Metric, boolean>>> {
  const scores: Record<Metric, number[]> = { acc: [], acc_norm: [], acc_uncond: [] };
  for (const choice of choices) {
    const score = await logLikelihood(model, context, choice);
    scores.acc.push(score);
    scores.acc_norm.push(score / Math.max(1, new TextEncoder().encode(choice).length));
    if (unconditional) {
      scores.acc_uncond.push(score - await logLikelihood(model, NO_CONTEXT, choice));
    }
  }
  const right = (values: number[]) => values.indexOf(Math.max(...values)) === answer;
  return {
    acc: right(scores.acc),
    acc_norm: right(scores.acc_norm),
    ...(unconditional ? { acc_uncond: right(scores.acc_uncond) } : {}),
  };
}

/** Log-probability (nats) of a choice after a context and a space. */
export async function logLikelihood(
  model: ScoringModel,
  context: string,
  choice: string,
): Promise<number> {
  const { tokenizer } = model;
  const before = tokenizer.encode(context).length;
  const whole = tokenizer.encode(`${context} ${choice}`);
  // A token that spans the border belongs to the context; at least the last one is the choice's.
  const count = Math.max(1, whole.length - before);
  const tokens = [beginToken(tokenizer), ...whole];
  const logProbabilities = await model.score(tokens, count);
  return logProbabilities.reduce((sum, value) => sum + value, 0);
}

/** The id of `<s>`, or 1. */
function beginToken(tokenizer: ScoringModel["tokenizer"]): number {
  const ids = tokenizer.encode("<s>");
  return ids.length === 1 ? ids[0] : 1;
}
