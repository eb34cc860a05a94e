/** Compares programs on a cluster with the program files. */
import { defineCommand } from "../lib/cli/command.ts";
import { defaulted, list, text } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS } from "../lib/cli/flag_sets.ts";
import { programLines } from "../lib/cli/program_lines.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withReader } from "../lib/cli/with_operator.ts";
import { PsycheError } from "../lib/error.ts";
import {
  BOUND_PROGRAMS,
  type ProgramName,
  type VerifiedProgram,
  verifyProgram,
} from "../lib/operator/verify_program.ts";

export const command = defineCommand({
  name: "verify-program",
  summary: "Compares the bytes of programs on a cluster with the program files; needs no wallet.",
  examples: [
    ["deno task verify-program --rpc devnet --program coordinator", "exit code 1 when it differs"],
  ],
  flags: {
    ...CLUSTER_FLAGS,
    ...PROGRAM_FLAGS,
    program: defaulted(
      list({
        summary: "authorizer, coordinator, treasurer",
        placeholder: "<name...>",
        environment: [],
      }),
      "authorizer,coordinator",
    ),
    programsDirectory: defaulted(
      text({ summary: "folder with the built programs", placeholder: "<folder>" }),
      "programs",
    ),
  },
  check({ program }) {
    return program.filter((name) => !(name in BOUND_PROGRAMS))
      .map((name) => `--program: "${name}" is not authorizer, coordinator or treasurer`);
  },
  async run(command) {
    const { settings, output } = command;
    const programs = await withReader(command, async (context) => {
      const found: VerifiedProgram[] = [];
      for (const name of settings.program as ProgramName[]) {
        found.push(await verifyProgram(context, name, settings.programsDirectory));
      }
      return found;
    });
    output.result({ programs }, programs.flatMap(programLines));
    const wrong = programs.filter(({ verdict }) => verdict !== "same").map(({ name }) => name);
    if (wrong.length === 0) return;
    throw new PsycheError(
      "PROGRAM_DIFFERS",
      `Not as in ${settings.programsDirectory}: ${wrong.join(", ")}; deploy with ` +
        `deploy-solana-test, or check the addresses and the cluster.`,
    );
  },
});

if (import.meta.main) await runCommand(command);
