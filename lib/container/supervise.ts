/** Starts a program again when it fails; docs/protocol/docker.md section 4.4. */
import { setTimeout as delay } from "node:timers/promises";

export interface RestartRules {
  /** Exit codes after which another try makes no sense. */
  finalCodes: readonly number[];
  /** A run of at least this long counts as healthy: the failures before it are forgotten. */
  healthyMilliseconds: number;
  /** Give up after this many short runs in a row. */
  maxFailures: number;
  waitMilliseconds: number;
}

/**
 * Of a training client. 0: the run is finished, or the client was asked to leave. 2: its settings are
 * wrong. 10: the run wants another client version. None of them heals by itself.
 */
export const CLIENT_RESTARTS: RestartRules = {
  finalCodes: [0, 2, 10],
  healthyMilliseconds: 120_000,
  maxFailures: 5,
  waitMilliseconds: 5_000,
};

/** Of `auto-restart`: until it succeeds; docs/protocol/commands.md section 3.4. */
export const UNTIL_SUCCESS: RestartRules = {
  finalCodes: [0],
  healthyMilliseconds: 0,
  maxFailures: Number.POSITIVE_INFINITY,
  waitMilliseconds: 1_000,
};

export interface SuperviseOptions {
  /** Runs the program once, to its exit code; has to end soon after the signal is aborted. */
  run: (signal: AbortSignal) => Promise<number>;
  rules: RestartRules;
  signal: AbortSignal;
  onExit?: (exit: { code: number; milliseconds: number; failures: number; again: boolean }) => void;
  /** Milliseconds, monotonic. */
  now?: () => number;
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/**
 * @returns exit code for the whole: the final code of the program, 1 after too many failures, 0 after an
 *   abort
 */
export async function supervise(options: SuperviseOptions): Promise<number> {
  const { run, rules, signal, now = () => performance.now(), wait = pause } = options;
  for (let failures = 0; !signal.aborted;) {
    const start = now();
    const code = await run(signal);
    const milliseconds = now() - start;
    if (signal.aborted) break;
    const isFinal = rules.finalCodes.includes(code);
    if (!isFinal) failures = milliseconds >= rules.healthyMilliseconds ? 0 : failures + 1;
    const again = !isFinal && failures < rules.maxFailures;
    options.onExit?.({ code, milliseconds, failures, again });
    if (isFinal) return code;
    if (!again) return 1;
    await wait(rules.waitMilliseconds, signal);
  }
  return 0;
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  // An abort ends the wait; the loop sees it.
  await delay(milliseconds, undefined, { signal }).catch(() => {});
}
