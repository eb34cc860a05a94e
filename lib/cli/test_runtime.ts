/** A runtime without a process, for the tests of commands. */
import type { Runtime, StopSignal } from "./runtime.ts";

export interface TestRuntime extends Runtime {
  isUnread: boolean;
  /** What was written so far. */
  written: { stdout: string; stderr: string };
  exitCodes: number[];
  /** Delivers a signal to the command. */
  interrupt(signal?: StopSignal): void;
  /** A promise of the command was rejected and nobody cared. */
  reject(reason: unknown): void;
}

export function testRuntime(
  args: string[],
  options: {
    environment?: Record<string, string>;
    files?: Record<string, string>;
    terminal?: boolean;
  } = {},
): TestRuntime {
  const files = options.files ?? {};
  const handlers = new Set<(signal: StopSignal) => void>();
  const faultHandlers = new Set<(reason: unknown) => void>();
  const written = { stdout: "", stderr: "" };
  const exitCodes: number[] = [];
  return {
    args,
    written,
    exitCodes,
    environment: (name) => options.environment?.[name],
    readTextFile: (path) => files[path],
    listDirectory: (path) =>
      [
        ...new Set(
          Object.keys(files).filter((file) => file.startsWith(`${path}/`))
            .map((file) => file.slice(path.length + 1).split("/")[0]),
        ),
      ].sort(),
    stdout: (text) => void (written.stdout += text),
    isUnread: false,
    stderr: (text) => void (written.stderr += text),
    terminal: options.terminal ?? false,
    onSignal(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    onUnhandled(handler) {
      faultHandlers.add(handler);
      return () => faultHandlers.delete(handler);
    },
    reject: (reason) => faultHandlers.forEach((handler) => handler(reason)),
    exit: (code) => void exitCodes.push(code),
    interrupt: (signal = "SIGINT") => handlers.forEach((handler) => handler(signal)),
  };
}
