/** Messages between a worker and its client. */
import { PsycheError } from "../error.ts";

export type MethodName<Methods> = keyof Methods & string;

export type Arguments<Method> = Method extends (...values: infer Values) => unknown ? Values
  : never;

export type Answer<Method> = Method extends (...values: never[]) => infer Value ? Awaited<Value>
  : never;

export interface Call<Methods, Name extends MethodName<Methods> = MethodName<Methods>> {
  id: number;
  method: Name;
  arguments: Arguments<Methods[Name]>;
}

/** An error as it crosses: structured cloning would lose the class and the code. */
export interface PortableError {
  code: string;
  message: string;
  exitCode: number;
}

export type Reply = { id: number; value: unknown } | { id: number; error: PortableError };

export function toPortable(error: unknown): PortableError {
  if (error instanceof PsycheError) {
    return { code: error.code, message: error.message, exitCode: error.exitCode };
  }
  const text = error instanceof Error ? error.message : String(error);
  return {
    code: "TRAINER_FAILED",
    message: `The trainer failed (${text}); close it and load the last checkpoint.`,
    exitCode: 1,
  };
}

export function fromPortable({ code, message, exitCode }: PortableError): PsycheError {
  return new PsycheError(code, message, { exitCode });
}
