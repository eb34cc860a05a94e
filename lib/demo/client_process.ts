import { PsycheError } from "../error.ts";
import type { TimedEvent } from "../events/event.ts";
import { readEventLines } from "../events/event_lines.ts";

/** Lines of standard error kept for the message when a client fails. */
const KEPT_ERROR_LINES = 20;
/** A client that does not end by itself within this time after SIGTERM is killed. */
const STOP_MILLISECONDS = 5_000;

export interface ClientProcess {
  readonly pid: number;
  /** Resolves when the process has ended and its events are all delivered. */
  readonly ended: Promise<{ code: number; errors: string[] }>;
  stop(): Promise<void>;
  kill(): void;
}

/**
 * Starts a training client as a process of its own and reads its events.
 *
 * @param args of the runtime: the command `train` with its flags, besides `--logs json`
 * @param env further environment variables
 */
export function startClientProcess(
  args: string[],
  onEvent: (event: TimedEvent) => void,
  env: Record<string, string> = {},
): ClientProcess {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args, "--logs", "json"],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors: string[] = [];
  const keep = (line: string) => {
    errors.push(line);
    if (errors.length > KEPT_ERROR_LINES) errors.shift();
  };
  const events = (async () => {
    for await (const event of readEventLines(child.stdout, keep)) onEvent(event);
  })();
  const talk = (async () => {
    for await (const _ of readEventLines(child.stderr, keep));
  })();
  const ended = (async () => {
    // Not before the process has ended, also when its events could not be taken.
    await Promise.allSettled([child.status, events, talk]);
    await Promise.all([events, talk]);
    return { code: (await child.status).code, errors };
  })();
  const signal = (name: Deno.Signal) => {
    try {
      child.kill(name);
    } catch {
      // Already gone.
    }
  };
  return {
    pid: child.pid,
    ended,
    kill: () => signal("SIGKILL"),
    async stop() {
      signal("SIGTERM");
      const timer = setTimeout(() => signal("SIGKILL"), STOP_MILLISECONDS);
      await ended.finally(() => clearTimeout(timer));
    },
  };
}

/** The error of a client that ended with a failure. */
export function clientFailure(code: number, errors: string[]): PsycheError {
  const said = errors.findLast((line) => line.startsWith("error[")) ?? errors.at(-1) ?? "nothing";
  return new PsycheError(
    "CLIENT_FAILED",
    `A training client ended with exit code ${code} and said: ${said}`,
  );
}
