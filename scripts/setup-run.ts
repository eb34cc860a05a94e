/** Brings a run to life on any cluster. */
import { defineCommand } from "../lib/cli/command.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, SEND_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { configPath, NEW_RUN_FLAGS } from "../lib/cli/localnet_flags.ts";
import { createProgress } from "../lib/cli/progress.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { loadRunConfig } from "../lib/operator/load_run_config.ts";
import { formatSol } from "../lib/operator/lamports.ts";
import { planRun } from "../lib/operator/plan_run.ts";
import { prepareRun } from "../lib/operator/prepare_run.ts";

export const command = defineCommand({
  name: "setup-run",
  summary: "Deploys the programs, opens the run to everybody, creates, configures and resumes it.",
  examples: [
    ["deno task setup-run --rpc devnet -w owner.json --preset light", "a light run on devnet"],
    ["deno task setup-run my-run --config my.toml --treasurer", "a run of your own, with rewards"],
  ],
  flags: { ...NEW_RUN_FLAGS, ...CLUSTER_FLAGS, ...WALLET_FLAGS, ...PROGRAM_FLAGS, ...SEND_FLAGS },
  arguments: [{ name: "RUN_ID", summary: "in place of --run-id", optional: true }],
  async run(command) {
    const { settings, output, signal } = command;
    const [runId = settings.runId] = command.positional;
    const config = await loadRunConfig(configPath(command), signal);
    config.warnings.forEach((warning) => output.warn(warning));
    const progress = createProgress(output);
    const options = { ...settings, runId, config, permissionless: !settings.permissioned };
    if (settings.dryRun) {
      const steps = await withOperator(command, (context) => planRun(context, options));
      return output.result({ runId, dryRun: true, steps }, [
        "dry run, nothing was sent",
        ...steps.map(({ step, effect, lamports }) =>
          `${step}: ${effect}${lamports > 0 ? `, locks up to ${formatSol(lamports)}` : ""}`
        ),
      ]);
    }
    const prepared = await withOperator(command, (context) =>
      prepareRun(context, {
        ...options,
        onEvent: ({ program, done, total }) => progress.update(program, done, total),
      }, async (name, work) => {
        const start = performance.now();
        const result = await work();
        output.say(`${name}: done in ${Math.round(performance.now() - start)} ms`);
        return result;
      }));
    const { coordinatorAddress, collateralMint } = prepared;
    output.result({ runId, ...prepared }, [
      `run "${runId}" at ${coordinatorAddress} waits for members`,
      ...(collateralMint === null ? [] : [`rewards are paid in the token ${collateralMint}`]),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
