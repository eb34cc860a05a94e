/** Shows which programs the commands will talk to, and asks whether these are the right ones. */
import { defineCommand } from "../lib/cli/command.ts";
import { defaulted, text } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, SEND_FLAGS } from "../lib/cli/flag_sets.ts";
import { programLines } from "../lib/cli/program_lines.ts";
import { confirmOrThrow } from "../lib/cli/prompt.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withReader } from "../lib/cli/with_operator.ts";
import { verifyProgram } from "../lib/operator/verify_program.ts";

export const command = defineCommand({
  name: "coordinator-address-check",
  summary: "Shows the program addresses in use, compares them with the cluster and asks to go on.",
  examples: [[
    "deno task coordinator-address-check --rpc devnet",
    "exit code 1 unless answered yes",
  ]],
  flags: {
    ...CLUSTER_FLAGS,
    ...PROGRAM_FLAGS,
    yes: SEND_FLAGS.yes,
    programsDirectory: defaulted(
      text({ summary: "folder with the built programs", placeholder: "<folder>" }),
      "programs",
    ),
  },
  async run(command) {
    const { settings, output, runtime, signal } = command;
    const programs = await withReader(command, async (context) => {
      output.say(`cluster ${context.cluster}`);
      return [
        await verifyProgram(context, "coordinator", settings.programsDirectory),
        await verifyProgram(context, "authorizer", settings.programsDirectory),
      ];
    });
    programs.flatMap(programLines).forEach(output.say);
    const { yes } = settings;
    const question = "Clients will talk to these programs. Are the addresses right?";
    await confirmOrThrow(question, { yes, terminal: runtime.terminal, signal });
    output.result({ programs }, ["the addresses are confirmed"]);
  },
});

if (import.meta.main) await runCommand(command);
