/** Progress of long work: a bar that redraws on a terminal, a few plain lines elsewhere. */
import type { Output } from "./output.ts";

export interface Progress {
  /** `done` of `total` parts of the work called `label`. */
  update(label: string, done: number, total: number): void;
}

const WIDTH = 24;
/** Without a terminal nobody waits longer for a line while the work goes on. */
const SILENCE_MILLISECONDS = 30_000;

/**
 * Without a terminal one line is written at each started quarter of the work, and after half a minute
 * without one.
 *
 * @param now milliseconds of a clock that never goes back
 */
export function createProgress(output: Output, now = () => performance.now()): Progress {
  const last = new Map<string, { quarter: number; time: number }>();
  return {
    update(label, done, total) {
      const share = total <= 0 ? 1 : Math.min(1, done / total);
      if (output.terminal) {
        const filled = Math.round(share * WIDTH);
        const bar = "#".repeat(filled) + "-".repeat(WIDTH - filled);
        output.rewrite(`${label} [${bar}] ${done}/${total}`);
        if (share === 1) output.say(`${label}: ${total} of ${total}`);
        return;
      }
      const quarter = Math.floor(share * 4);
      const time = now();
      const said = last.get(label);
      const isRecent = said !== undefined && time - said.time < SILENCE_MILLISECONDS;
      if (said?.quarter === quarter && isRecent) return;
      last.set(label, { quarter, time });
      output.say(`${label}: ${done} of ${total}`);
    },
  };
}
