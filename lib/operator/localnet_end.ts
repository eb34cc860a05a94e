/** The end of a localnet: wanted, or an error. */
import { setTimeout as delay } from "node:timers/promises";
import { PsycheError } from "../error.ts";
import type { SpawnedLocalnet } from "../localnet/spawn.ts";

/** An interruption may reach the localnet before this process. */
const NEWS_MILLISECONDS = 500;

/**
 * Resolves when the localnet has ended and somebody wanted that.
 *
 * @throws PsycheError `LOCALNET_ENDED` when it died
 */
export async function wantedEnd(
  { ended }: Pick<SpawnedLocalnet, "ended">,
  isWanted: () => boolean,
): Promise<void> {
  const { code, signal } = await ended;
  const until = performance.now() + NEWS_MILLISECONDS;
  while (!isWanted()) {
    if (performance.now() >= until) throw localnetEnded(code, signal);
    await delay(10);
  }
}

/** The error of a localnet that ended by itself. */
export function localnetEnded(code: number, signal: string | null): PsycheError {
  return new PsycheError(
    "LOCALNET_ENDED",
    `The localnet process ended by itself (${signal ?? `exit code ${code}`}); start it again.`,
  );
}
