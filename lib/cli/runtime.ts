/** Everything a command takes from its process; the one place in lib that touches the real one. */
import process from "node:process";
import { PsycheError } from "../error.ts";

/** What asks a command to end. */
export type StopSignal = "SIGINT" | "SIGTERM";

export interface Runtime {
  args: string[];
  environment(name: string): string | undefined;
  /** Undefined when the file does not exist. @throws PsycheError `FILE_UNREADABLE` */
  readTextFile(path: string): string | undefined;
  /** Names in a directory; empty when it does not exist. */
  listDirectory(path: string): string[];
  stdout(text: string): void;
  /** True once the reader of stdout is gone (`| head`); what is written is dropped then. */
  readonly isUnread: boolean;
  stderr(text: string): void;
  /** True when a person reads stderr. */
  terminal: boolean;
  /** Calls the handler for every interrupt or termination signal; returns the way to stop that. */
  onSignal(handler: (signal: StopSignal) => void): () => void;
  /** Calls the handler for every rejection that nobody handled; returns the way to stop that. */
  onUnhandled(handler: (reason: unknown) => void): () => void;
  exit(code: number): void;
}

/** The running process. */
export function denoRuntime(): Runtime {
  const encoder = new TextEncoder();
  /** Streams whose reader is gone; there is nobody left to tell. */
  const unread = new Set<typeof Deno.stdout>();
  const write = (stream: typeof Deno.stdout, text: string) => {
    const bytes = encoder.encode(text);
    try {
      for (let done = 0; done < bytes.length;) done += stream.writeSync(bytes.subarray(done));
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      unread.add(stream);
    }
  };
  return {
    args: Deno.args,
    environment: (name) => Deno.env.get(name),
    readTextFile: (path) => unlessMissing(path, () => Deno.readTextFileSync(path)),
    listDirectory: (path) =>
      unlessMissing(path, () => [...Deno.readDirSync(path)].map(({ name }) => name).sort()) ?? [],
    stdout: (text) => write(Deno.stdout, text),
    get isUnread() {
      return unread.has(Deno.stdout);
    },
    stderr: (text) => write(Deno.stderr, text),
    terminal: Deno.stderr.isTerminal(),
    onSignal(handler) {
      const signals: StopSignal[] = Deno.build.os === "windows"
        ? ["SIGINT"]
        : ["SIGINT", "SIGTERM"];
      const remove = signals.map((signal) => {
        const listener = () => handler(signal);
        Deno.addSignalListener(signal, listener);
        return () => Deno.removeSignalListener(signal, listener);
      });
      return () => remove.forEach((undo) => undo());
    },
    onUnhandled(handler) {
      const listener = (event: PromiseRejectionEvent) => {
        event.preventDefault();
        handler(event.reason);
      };
      globalThis.addEventListener("unhandledrejection", listener);
      return () => globalThis.removeEventListener("unhandledrejection", listener);
    },
    exit: (code) => process.exit(code),
  };
}

function unlessMissing<T>(path: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return undefined;
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new PsycheError(
      "FILE_UNREADABLE",
      `${path} cannot be read (${reason}); see what it is and who may read it, or name another file.`,
      { cause: error },
    );
  }
}
