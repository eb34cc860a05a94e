/** Trains one model alone with AdamW, alone with DisTrO and by several clients; writes the curves. */
import { defineCommand } from "../lib/cli/command.ts"; // first: it tames libraries while they load
import { join } from "node:path";
import { commandLine } from "../lib/cli/command_line.ts";
import { decimal, defaulted, integer, text } from "../lib/cli/flag.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { learningExperiment } from "../lib/demo/learning_experiment.ts";
import { learningPage } from "../lib/demo/learning_page.ts";
import { learningPicture } from "../lib/demo/learning_picture.ts";

/** Steps between two lines of progress after the first. */
const REPORT_EVERY = 10;

export const command = defineCommand({
  name: "experiment-learning",
  summary: "Compares AdamW alone, DisTrO alone and DisTrO over the network on the same data.",
  examples: [
    ["deno task experiment:learning", "writes docs/learning; a few minutes"],
    ["deno task experiment:learning --steps 30 --out /tmp/learning", "a quick look"],
  ],
  flags: {
    clients: defaulted(integer({ summary: "clients of the run", min: 1, max: 16 }), "3"),
    steps: defaulted(integer({ summary: "steps of each training", min: 10, max: 10_000 }), "80"),
    seed: defaulted(integer({ summary: "of weights and data order", max: 2 ** 31 }), "1"),
    adamwRate: defaulted(decimal({ summary: "largest learning rate of AdamW", max: 1 }), "0.006"),
    config: defaulted(
      text({ summary: "run configuration to vary", placeholder: "<file>" }),
      "config/solana-test/nano-config.toml",
    ),
    out: defaulted(text({ summary: "folder to write to", placeholder: "<dir>" }), "docs/learning"),
  },
  async run({ settings, output, signal }) {
    let said = "";
    const report = await learningExperiment({
      ...settings,
      root: ".psyche",
      configPath: settings.config,
      trainCommand: (flags) => commandLine("train", flags),
      signal,
      onProgress(what, step, loss) {
        // Several clients report one step.
        const place = `${what}: step ${step}`;
        if ((step === 1 || step % REPORT_EVERY === 0) && place !== said) {
          output.say(`${place}, loss ${loss.toFixed(3)}`);
        }
        said = place;
      },
    });
    await Deno.mkdir(settings.out, { recursive: true });
    const write = (name: string, text: string) =>
      Deno.writeTextFile(join(settings.out, name), text);
    await write("result.json", JSON.stringify(report, null, 1) + "\n");
    await write("loss.svg", learningPicture(report));
    await write("README.md", learningPage(report));
    output.result({ out: settings.out, ...report }, [
      ...report.curves.map((curve) =>
        `${curve.name}: held-out loss ${curve.heldOut[0].loss.toFixed(3)} -> ` +
        `${curve.heldOut.at(-1)!.loss.toFixed(3)} in ${curve.seconds.toFixed(1)} s`
      ),
      `Written to ${settings.out}.`,
    ]);
  },
});

if (import.meta.main) await runCommand(command);
