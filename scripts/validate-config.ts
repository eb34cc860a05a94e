/** Checks a run configuration file. */
import { defineCommand } from "../lib/cli/command.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { loadRunConfig } from "../lib/operator/load_run_config.ts";

export const command = defineCommand({
  name: "validate-config",
  summary: "Checks a configuration file by every rule of the program; lists all problems at once.",
  examples: [["deno task validate-config config/solana-test/config.toml", "exit code 1 when bad"]],
  flags: {},
  arguments: [{ name: "FILE", summary: "TOML file with the tables config and model" }],
  async run({ output, signal, positional: [file] }) {
    const { config, model, warnings } = await loadRunConfig(file, signal);
    warnings.forEach((warning) => output.warn(warning));
    output.result({ file, valid: true, warnings, config, model }, [
      `${file} is valid`,
      `${config.totalSteps} steps, epochs of ${config.epochTime} s, at least ${config.minClients} clients`,
      `${model.architecture}, sequences of ${model.maxSeqLen} tokens, ` +
      `batches of ${config.globalBatchSizeStart} to ${config.globalBatchSizeEnd}`,
    ]);
  },
});

if (import.meta.main) await runCommand(command);
