/** Which choice a model takes: docs/protocol/training-math.md section 7, log-likelihood scoring. */
import { beginToken, type EvalModel } from "./eval_model.ts";
import type { Metric, Question } from "./eval_task.ts";

/** The part of a model that scoring needs. */
export type ScoringModel = Pick<EvalModel, "score"> & {
  tokenizer: Pick<EvalModel["tokenizer"], "encode" | "idOf">;
};

/** What stands before a choice whose plain likelihood is wanted. */
const NO_CONTEXT = "Answer:";

/**
 * Whether the model's choice is right, by each metric: the sum of log-probabilities, the same per
 * UTF-8 byte of the choice, and (if `unconditional`) less what the choice has without the question.
 *
 * @param isAborted asked before every pass; null is the result then
 */
export async function scoreQuestion(
  model: ScoringModel,
  context: string,
  { choices, answer }: Question,
  unconditional: boolean,
  isAborted: () => boolean = () => false,
): Promise<Partial<Record<Metric, boolean>> | null> {
  const scores: Record<Metric, number[]> = { acc: [], acc_norm: [], acc_uncond: [] };
  for (const choice of choices) {
    if (isAborted()) return null;
    const score = await logLikelihood(model, context, choice);
    scores.acc.push(score);
    scores.acc_norm.push(score / Math.max(1, new TextEncoder().encode(choice).length));
    if (!unconditional) continue;
    if (isAborted()) return null;
    scores.acc_uncond.push(score - await logLikelihood(model, NO_CONTEXT, choice));
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
  const logProbabilities = await model.score([beginToken(tokenizer), ...whole], count);
  return logProbabilities.reduce((sum, value) => sum + value, 0);
}
