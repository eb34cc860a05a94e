/** Progress of long work: a bar that redraws on a terminal, a few plain lines elsewhere. */
import type { Output } from "./output.ts";

export interface Progress {
  /** `done` of `total` parts of the work called `label`. */
  update(label: string, done: number, total: number): void;
}

const WIDTH = 24;

/** Without a terminal one line is written at each started quarter of the work. */
export function createProgress(output: Output): Progress {
  const lastQuarter = new Map<string, number>();
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
      if (lastQuarter.get(label) === quarter) return;
      lastQuarter.set(label, quarter);
      output.say(`${label}: ${done} of ${total}`);
    },
  };
}
