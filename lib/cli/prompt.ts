/** Yes-or-no questions. An empty answer means no. */
import process from "node:process";
import { PsycheError } from "../error.ts";

export interface ConfirmOptions {
  /** `--yes` was given: do not ask. */
  yes: boolean;
  /** Somebody can be asked. */
  terminal: boolean;
  signal?: AbortSignal;
  /** For tests. */
  ask?: (question: string, signal?: AbortSignal) => Promise<boolean>;
}

/**
 * True after a yes, false after any other answer.
 * @throws PsycheError CONFIRMATION_NEEDED when nobody can be asked
 */
export async function agrees(question: string, options: ConfirmOptions): Promise<boolean> {
  const { yes, terminal, signal, ask = askOnTerminal } = options;
  if (yes) return true;
  if (!terminal) {
    throw new PsycheError(
      "CONFIRMATION_NEEDED",
      `This needs a yes ("${question}") and there is no terminal to ask on; add --yes.`,
    );
  }
  return await ask(question, signal);
}

/**
 * Returns only after a yes.
 * @throws PsycheError CONFIRMATION_NEEDED when nobody can be asked, CANCELLED after any other answer
 */
export async function confirmOrThrow(question: string, options: ConfirmOptions): Promise<void> {
  if (await agrees(question, options)) return;
  throw new PsycheError("CANCELLED", "Cancelled; nothing was changed.");
}

async function askOnTerminal(question: string, signal?: AbortSignal): Promise<boolean> {
  // Loaded only here: most commands never ask.
  const { confirm } = await import("@clack/prompts");
  const { stdin, stderr } = process;
  // An input that ends answers nothing, and the library would wait for ever.
  const ended = new AbortController();
  const onEnd = () => ended.abort();
  stdin.once("end", onEnd);
  try {
    // The library answers a broken-off question with a symbol, which is no yes either.
    return await confirm({
      message: question,
      initialValue: false,
      // Standard output belongs to the result.
      output: stderr,
      signal: AbortSignal.any([ended.signal, ...(signal ? [signal] : [])]),
    }) === true;
  } finally {
    stdin.off("end", onEnd);
  }
}
