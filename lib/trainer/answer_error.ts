import { PsycheError } from "../error.ts";

/**
 * What a service's refusal means: `<code>_ACCESS_DENIED`, `<code>_NOT_FOUND`, or `<code>_UNAVAILABLE`, which
 * alone is worth another try.
 *
 * @param advice the next step to take, by what is wrong
 */
export function answerError(
  code: string,
  url: string,
  status: number,
  advice: { denied: string; missing: string },
): PsycheError {
  const [kind, next] = status === 401 || status === 403
    ? ["ACCESS_DENIED", advice.denied]
    : status === 404
    ? ["NOT_FOUND", advice.missing]
    : ["UNAVAILABLE", "try again later"];
  return new PsycheError(`${code}_${kind}`, `${url} answers with status ${status}; ${next}.`);
}
