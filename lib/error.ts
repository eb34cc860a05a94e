/**
 * The one error type of the toolkit.
 *
 * A {@linkcode PsycheError} reads as one sentence that says what failed, with which value, and what
 * to do next. `code` is stable and made for programs; `exitCode` is what a command ends with.
 */
export class PsycheError extends Error {
  override readonly name = "PsycheError";

  /** Stable identifier, upper snake case, for example `WALLET_FILE_INVALID`. */
  readonly code: string;

  /** Process exit code of a command that ends with this error: 1 failure, 2 usage, 10 version mismatch. */
  readonly exitCode: number;

  constructor(code: string, message: string, options: { cause?: unknown; exitCode?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.exitCode = options.exitCode ?? 1;
  }
}
