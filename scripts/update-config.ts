/** Changes the configuration of a run. */
import { defineCommand } from "../lib/cli/command.ts";
import { configLines } from "../lib/cli/config_lines.ts";
import { integer, text, toggle, u64 } from "../lib/cli/flag.ts";
import { OPERATOR_FLAGS } from "../lib/cli/flag_sets.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { loadRunConfig } from "../lib/operator/load_run_config.ts";
import { type AppliedConfig, applyConfig } from "../lib/operator/apply_config.ts";
import { type ConfigUpdateResult, updateConfig } from "../lib/operator/update_config.ts";

export const command = defineCommand({
  name: "update-config",
  summary: "Changes the configuration of a halted run; its name and description at any time.",
  examples: [
    [
      "deno task update-config --run-id test --config-path config/solana-test/nano-config.toml",
      "configure the run from a file",
    ],
    ["deno task update-config -r test --restart-from-step 100 --dry-run", "show a restart"],
    ["deno task update-config -r test --config-path new.toml --apply", "change a running run"],
  ],
  flags: {
    ...OPERATOR_FLAGS,
    configPath: text({
      summary: "TOML file with the tables config and model",
      placeholder: "<file>",
      environment: ["CONFIG_PATH", "CONFIG_FILE"],
    }),
    restartFromStep: integer({ summary: "continue at this step", min: 1, max: 2 ** 32 - 1 }),
    switchToHub: toggle({ summary: "turn a P2P or Dummy checkpoint into a Hub one" }),
    name: text({ summary: "title of the run, at most 64 bytes", environment: [] }),
    description: text({ summary: "at most 280 bytes", environment: [] }),
    numParameters: u64({ summary: "size of the model, for display", environment: [] }),
    vocabSize: u64({ summary: "size of the vocabulary, for display", environment: [] }),
    clientVersion: text({ summary: "client version that the run asks for", environment: [] }),
    apply: toggle({
      summary: "pause a running run, wait, update it and resume it",
      environment: [],
    }),
  },
  check(settings) {
    const parts = [
      settings.configPath,
      settings.restartFromStep,
      settings.name,
      settings.description,
      settings.numParameters,
      settings.vocabSize,
      settings.clientVersion,
    ];
    return parts.some((part) => part !== undefined) || settings.switchToHub
      ? []
      : ["there is nothing to change; give --config-path or another part"];
  },
  async run(command) {
    const { settings, output, signal } = command;
    const file = settings.configPath === undefined
      ? undefined
      : await loadRunConfig(settings.configPath, signal);
    file?.warnings.forEach((warning) => output.warn(warning));
    const { runId, apply } = settings;
    const result = await withOperator<ConfigUpdateResult & Partial<AppliedConfig>>(
      command,
      (context) => {
        const update = { ...settings, file };
        return apply
          ? applyConfig(context, runId, { ...update, onStep: output.say })
          : updateConfig(context, runId, update);
      },
    );
    output.result(result, configLines(result));
  },
});

if (import.meta.main) await runCommand(command);
