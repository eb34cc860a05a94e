/** Reading an answer whose length is the node's choice. */
import { PsycheError } from "../error.ts";

/** More than any answer that the toolkit asks for: a program is at most 10 MiB, in base64 14. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** An account is at most 10 MiB too, and notifications hold one. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** @param source how to name the sender; holds no API key */
export function answerTooLarge(source: string, limit: number): PsycheError {
  return new PsycheError(
    "RPC_ANSWER_TOO_LARGE",
    `${source} sends more than ${limit / 1024 / 1024} MiB in one answer; use another endpoint.`,
  );
}

/**
 * The body as text, read no further than the limit.
 * @throws PsycheError RPC_ANSWER_TOO_LARGE; what reading throws
 */
export async function readBounded(
  response: Response,
  source: string,
  limit = MAX_ANSWER_BYTES,
): Promise<string> {
  if (Number(response.headers.get("content-length")) > limit) {
    await response.body?.cancel();
    throw answerTooLarge(source, limit);
  }
  const decoder = new TextDecoder();
  let [text, length] = ["", 0];
  // Leaving the loop by a throw cancels the body, and with it the transfer.
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > limit) throw answerTooLarge(source, limit);
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}
