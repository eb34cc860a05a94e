/** Measures training on this machine. */
import { defineCommand } from "../lib/cli/command.ts"; // first: it tames libraries while they load
import { availableParallelism } from "node:os";
import { defaulted, integer, text, toggle } from "../lib/cli/flag.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { PsycheError } from "../lib/error.ts";
import { BENCH_CASES } from "../lib/trainer/bench/bench_case.ts";
import { compareTraining } from "../lib/trainer/bench/compare_training.ts";
import { comparisonLines, missedGoals } from "../lib/trainer/bench/report.ts";

export const command = defineCommand({
  name: "bench-train",
  summary: "Compares training steps with the machine's matrix product, PyTorch and jax-js.",
  examples: [
    ["deno task bench:train", "all models; about four minutes"],
    ["deno task bench:train --models nano,1.8M --repetitions 20", "the small ones, thoroughly"],
    ["PSYCHE_PYTHON=venv/bin/python deno task bench:train", "side by side with PyTorch"],
  ],
  flags: {
    models: defaulted(
      text({ summary: "which of nano, 1.8M and 23M", placeholder: "<names>" }),
      BENCH_CASES.map((one) => one.name).join(),
    ),
    repetitions: defaulted(
      integer({
        summary: "measured steps of the large model; of small ones three times as many",
        min: 1,
        max: 1000,
      }),
      "7",
    ),
    threads: integer({ summary: "threads; all cores when absent", min: 1, max: 256 }),
    python: text({
      summary: "a Python that has torch",
      placeholder: "<file>",
      environment: ["PSYCHE_PYTHON"],
    }),
    noJax: toggle({
      summary: "no comparison with jax-js, which is downloaded for it",
      environment: [],
    }),
  },
  async run({ settings, output, signal }) {
    const names = settings.models.split(",").map((name) => name.trim().toLowerCase());
    const cases = BENCH_CASES.filter((one) => names.includes(one.name.toLowerCase()));
    if (cases.length !== new Set(names).size) {
      throw new PsycheError(
        "BENCH_MODEL_UNKNOWN",
        `--models ${settings.models} names something else than ` +
          `${BENCH_CASES.map((one) => one.name).join(", ")}.`,
      );
    }
    if (settings.python === undefined) {
      output.say("No comparison with PyTorch: PSYCHE_PYTHON names no Python that has torch.");
    }
    const comparisons = [];
    for (const one of cases) {
      output.say(`measuring ${one.name} ...`);
      comparisons.push(
        await compareTraining(one, {
          repetitions: settings.repetitions,
          threads: settings.threads ?? availableParallelism(),
          python: settings.python ?? null,
          jax: !settings.noJax,
          signal,
        }),
      );
    }
    const missed = comparisons.flatMap(missedGoals);
    output.result({ comparisons, missed }, [...comparisons.flatMap(comparisonLines), ...missed]);
  },
});

if (import.meta.main) await runCommand(command);
