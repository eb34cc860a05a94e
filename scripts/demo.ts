/** The whole job on one machine: localnet, programs, clients, a trained model. */
import { defineCommand } from "../lib/cli/command.ts"; // first: it tames libraries while they load
import { runDemo } from "../lib/demo/run_demo.ts";
import { commandLine } from "../lib/cli/command_line.ts";
import { createDemoView, demoJson, demoSummary } from "../lib/cli/demo_view.ts";
import { decimal, defaulted, integer, text } from "../lib/cli/flag.ts";
import { runCommand } from "../lib/cli/run_command.ts";

const STEPS: Record<string, string> = {
  files: "training text, tokenizer and initial model",
  localnet: "localnet",
  airdrop: "SOL for the run's owner",
  programs: "programs: deployed by transactions",
  authorization: "join authorization for everybody",
  run: "run created, with a treasury that pays in a token of its own",
  config: "run configured",
  resume: "run waits for members",
};

if (import.meta.main) {
  await runCommand(defineCommand({
    name: "demo",
    summary: "Train a small language model with several clients on a local Solana net.",
    examples: [
      ["deno task demo", "three clients, 60 steps"],
      ["deno task demo --clients 2 --steps 30 --seed 7", "smaller, other weights and data order"],
      ["deno task demo --json", "the result as one JSON object"],
    ],
    flags: {
      clients: defaulted(integer({ summary: "training clients", min: 1, max: 16 }), "3"),
      steps: defaulted(integer({ summary: "steps to train", min: 4, max: 100_000 }), "60"),
      seed: defaulted(
        integer({ summary: "of weights, data order and sampled text", max: 2 ** 31 }),
        "1",
      ),
      clockRate: defaulted(
        decimal({ summary: "chain seconds per second of real time", min: 1, max: 100 }),
        "20",
      ),
      rpcPort: defaulted(
        integer({
          summary: "RPC port of the localnet, 0 = any; websocket is the next one",
          max: 65_534,
        }),
        "0",
      ),
      config: defaulted(
        text({ summary: "run configuration to vary", placeholder: "<file>" }),
        "config/solana-test/nano-config.toml",
      ),
    },
    async run({ settings, output, signal }) {
      const start = performance.now();
      const result = await runDemo({
        ...settings,
        configPath: settings.config,
        trainCommand: (flags) => commandLine("train", flags),
        root: ".psyche",
        signal,
        onSetup(event) {
          if (event.type === "progress") return;
          if (event.type === "step done") return;
          const name = event.type === "files" ? "files" : event.step;
          const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(5);
          output.say(`${seconds} s  ${STEPS[name]}`);
        },
        onProgress: createDemoView(output, settings.steps),
        onLogFailure: (error) => output.warn(error.message),
      });
      output.result(demoJson(result), demoSummary(result));
    },
  }));
}
