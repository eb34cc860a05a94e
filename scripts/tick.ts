/** Moves a run on when its time has come. */
import { defineCommand } from "../lib/cli/command.ts";
import { setTimeout as delay } from "node:timers/promises";
import { counted } from "../lib/cli/counted.ts";
import { defaulted, integer } from "../lib/cli/flag.ts";
import { OPERATOR_FLAGS } from "../lib/cli/flag_sets.ts";
import { outcomeLines } from "../lib/cli/outcome_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { type TickResult, tickRun } from "../lib/operator/tick_run.ts";

export const command = defineCommand({
  name: "tick",
  summary: "Sends ticks to a run. Clients do this by themselves; a tick on a halted run fails.",
  examples: [
    ["deno task tick --run-id test --count 1", "send one tick"],
    ["deno task tick --run-id test --ms-interval 2000", "send one every two seconds"],
  ],
  flags: {
    ...OPERATOR_FLAGS,
    msInterval: defaulted(
      integer({ summary: "milliseconds between two ticks", min: 1, environment: [] }),
      "1000",
    ),
    count: integer({ summary: "how many (default: until Ctrl+C)", min: 1, environment: [] }),
  },
  async run(command) {
    const { settings, output, signal } = command;
    const count = settings.count ?? Number.POSITIVE_INFINITY;
    let sent = 0;
    let last: TickResult | undefined;
    await withOperator(command, async (context) => {
      while (sent < count && !signal.aborted) {
        const started = performance.now();
        last = await tickRun(context, settings.runId).catch((error) => {
          if (signal.aborted) return last;
          throw error;
        });
        if (signal.aborted || last === undefined) break;
        if (settings.dryRun) break;
        sent++;
        output.say(`tick ${sent}: ${last.before} -> ${last.after}, step ${last.step}`);
        if (sent === count) break;
        const rest = Math.max(0, settings.msInterval - (performance.now() - started));
        await delay(rest, undefined, { signal }).catch(() => {});
      }
    });
    output.result({ runId: settings.runId, sent, last: last ?? null }, [
      ...(settings.dryRun ? [] : [`${counted(sent, "tick")} sent`]),
      ...(last === undefined ? [] : outcomeLines(last.outcome)),
    ]);
    if (sent < (settings.count ?? 0)) signal.throwIfAborted();
  },
});

if (import.meta.main) await runCommand(command);
