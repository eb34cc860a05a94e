/** Yes-or-no questions. An empty answer means no. */
import { PsycheError } from "../error.ts";

export interface ConfirmOptions {
  /** `--yes` was given: do not ask. */
  yes: boolean;
  terminal: boolean;
  signal?: AbortSignal;
}

/**
 * @throws PsycheError CONFIRMATION_NEEDED when nobody can be asked, CANCELLED when the user breaks off
 */
export async function confirmOrThrow(question: string, options: ConfirmOptions): Promise<boolean> {
  if (options.yes) return true;
  if (!options.terminal) {
    throw new PsycheError(
      "CONFIRMATION_NEEDED",
      `This needs a yes ("${question}") and there is no terminal to ask on; add --yes.`,
    );
  }
  // Loaded only here: most commands never ask.
  const { confirm, isCancel } = await import("@clack/prompts");
  const answer = await confirm({
    message: question,
    initialValue: false,
    signal: options.signal,
  });
  if (isCancel(answer)) throw new PsycheError("CANCELLED", "Cancelled; nothing was changed.");
  return answer;
}
