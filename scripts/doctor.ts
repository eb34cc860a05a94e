/** Examines this machine and a cluster. */
import { defineCommand } from "../lib/cli/command.ts";
import { chooseWallet, findWallet, LOCALNET_WALLET_PATH } from "../lib/cli/find_wallet.ts";
import { text } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { tableLines } from "../lib/cli/table.ts";
import { parseAddress, withReader } from "../lib/cli/with_operator.ts";
import { PsycheError } from "../lib/error.ts";
import { examineCluster, type Finding } from "../lib/operator/examine.ts";
import { examineMachine } from "../lib/operator/examine_machine.ts";

export const command = defineCommand({
  name: "doctor",
  summary: "Examines this machine, the cluster, the wallet and the run, and says what is missing.",
  examples: [
    ["deno task doctor", "this machine and the local cluster"],
    ["deno task doctor --rpc devnet --run-id test -w client.json", "before joining a run"],
  ],
  flags: {
    ...CLUSTER_FLAGS,
    ...PROGRAM_FLAGS,
    ...WALLET_FLAGS,
    runId: text({ summary: "the run to join", placeholder: "<id>", short: "r" }),
    authorizer: text({ summary: "grantee that made you a delegate", placeholder: "<address>" }),
  },
  async run(command) {
    const { settings, output, runtime, signal } = command;
    const wallet = chooseWallet(command, runtime, LOCALNET_WALLET_PATH) === null
      ? null
      : await findWallet(command, runtime, LOCALNET_WALLET_PATH);
    const authorizer = settings.authorizer === undefined
      ? undefined
      : parseAddress(settings.authorizer, "--authorizer");
    const address = wallet?.keypair.publicKey;
    const findings: Finding[] = await examineMachine(signal);
    wallet?.warnings.forEach((detail) =>
      findings.push({ what: "wallet file", verdict: "warning", detail })
    );
    try {
      const { runId } = settings;
      findings.push(
        ...await withReader(
          command,
          (context) => examineCluster(context, { address, runId, authorizer }),
        ),
      );
    } catch (error) {
      if (!(error instanceof PsycheError)) throw error;
      signal.throwIfAborted();
      findings.push({ what: "RPC", verdict: "bad", detail: error.message });
    }
    const rows = findings.map(({ what, verdict, detail }) => [verdict, what, detail]);
    output.result({ findings }, tableLines(["verdict", "what", "detail"], rows));
    const bad = findings.filter(({ verdict }) => verdict === "bad").map(({ what }) => what);
    if (bad.length === 0) return;
    throw new PsycheError("NOT_READY", `Not ready: ${bad.join(", ")}; see above.`);
  },
});

if (import.meta.main) await runCommand(command);
