/** Deploys the authorizer, the coordinator and, when asked, the treasurer. */
import { defineCommand } from "../lib/cli/command.ts";
import { join } from "node:path";
import { loadWallet } from "../lib/chain/wallet.ts";
import { defaulted, text, toggle } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, SEND_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { MAX_LEN_FLAG } from "../lib/cli/max_len_flag.ts";
import { createProgress } from "../lib/cli/progress.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withOperator } from "../lib/cli/with_operator.ts";
import { deployPrograms, type ProgramName } from "../lib/operator/deploy_programs.ts";
import { formatSol } from "../lib/operator/lamports.ts";
import { readProgramFile } from "../lib/operator/program_file.ts";

export const command = defineCommand({
  name: "deploy-solana-test",
  summary: "Deploys or upgrades the programs that runs need; leaves what is there already.",
  examples: [
    ["deno task deploy-solana-test", "deploy to the local cluster"],
    ["deno task deploy-solana-test --rpc devnet -w owner.json --dry-run", "show the plan and cost"],
  ],
  flags: {
    ...CLUSTER_FLAGS,
    ...WALLET_FLAGS,
    ...PROGRAM_FLAGS,
    ...SEND_FLAGS,
    programsDirectory: defaulted(
      text({ summary: "folder with the .so files", placeholder: "<folder>" }),
      "programs",
    ),
    treasurer: toggle({ summary: "also the treasurer, for runs with rewards", environment: [] }),
    authorizerKeypair: text({
      summary: "deploy under this program keypair",
      placeholder: "<file>",
    }),
    coordinatorKeypair: text({
      summary: "deploy under this program keypair",
      placeholder: "<file>",
    }),
    treasurerKeypair: text({
      summary: "deploy under this program keypair",
      placeholder: "<file>",
    }),
    skipIdl: toggle({ summary: "do not publish the IDLs on chain", environment: [] }),
    ...MAX_LEN_FLAG,
  },
  async run(command) {
    const { settings, output } = command;
    const source = async (name: ProgramName, keyFile?: string) => ({
      so: await readProgramFile(join(settings.programsDirectory, `${name}.so`)),
      keypair: keyFile === undefined ? undefined : (await loadWallet(keyFile)).keypair,
    });
    const programs = {
      authorizer: await source("authorizer", settings.authorizerKeypair),
      coordinator: await source("coordinator", settings.coordinatorKeypair),
      ...(settings.treasurer || settings.treasurerKeypair
        ? { treasurer: await source("treasurer", settings.treasurerKeypair) }
        : {}),
    };
    const progress = createProgress(output);
    const result = await withOperator(command, (context) =>
      deployPrograms(context, {
        programs,
        maxLength: settings.maxLen,
        publishIdls: !settings.skipIdl,
        onProgress: (name, done, total) => progress.update(name, done, total),
      }));
    output.result(result, [
      ...(result.dryRun ? ["dry run, nothing was sent"] : []),
      ...result.programs.flatMap((
        { name, programId, action, signature, explorer, idl, lamportsLocked },
      ) => [
        `${name} program id: ${programId} (${action}${idl === null ? "" : `, IDL ${idl}`})`,
        ...(lamportsLocked > 0 ? [`  locks ${formatSol(lamportsLocked)} of rent`] : []),
        ...(signature === null ? [] : [`  signature ${signature}`]),
        ...(explorer === null ? [] : [`  ${explorer}`]),
      ]),
      ...(result.dryRun
        ? [`the wallet needs ${formatSol(result.lamportsNeeded)} at the most`]
        : []),
    ]);
  },
});

if (import.meta.main) await runCommand(command);
