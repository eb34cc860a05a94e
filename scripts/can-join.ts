/** Tells whether a key may join a run. */
import { defineCommand } from "../lib/cli/command.ts";
import { findWallet } from "../lib/cli/find_wallet.ts";
import { text } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, RUN_ID_FLAG, WALLET_FLAGS } from "../lib/cli/flag_sets.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { parseAddress, withReader } from "../lib/cli/with_operator.ts";
import { canJoin } from "../lib/operator/can_join.ts";

export const command = defineCommand({
  name: "can-join",
  summary: "Says whether a key may join a run, and if not, everything that stands in the way.",
  examples: [
    ["deno task can-join --run-id test --address <KEY>", "a key by its address; needs no wallet"],
    ["deno task can-join --run-id test -w client.json", "the key of a file"],
  ],
  flags: {
    ...RUN_ID_FLAG,
    ...CLUSTER_FLAGS,
    ...PROGRAM_FLAGS,
    ...WALLET_FLAGS,
    // The record names the owner's wallet, and owners do not train.
    walletPrivateKeyPath: { ...WALLET_FLAGS.walletPrivateKeyPath, fromRunRecord: undefined },
    address: text({
      summary: "the key (default: the wallet)",
      placeholder: "<address>",
      short: "p",
      aliases: ["wallet", "user", "pubkey"],
      environment: [],
    }),
    authorizer: text({
      summary: "grantee of which the key is a delegate",
      placeholder: "<address>",
    }),
  },
  async run(command) {
    const { settings, output, runtime } = command;
    const address = settings.address !== undefined
      ? parseAddress(settings.address, "--address")
      : (await findWallet(command, runtime)).keypair.publicKey;
    const authorizer = settings.authorizer === undefined
      ? undefined
      : parseAddress(settings.authorizer, "--authorizer");
    const verdict = await withReader(
      command,
      (context) => canJoin(context, { runId: settings.runId, address, authorizer }),
    );
    output.result({ canJoin: true, ...verdict }, [
      `${verdict.address} can join "${verdict.runId}"`,
      `state "${verdict.state}"${
        verdict.halted ? ": clients wait until the owner resumes it" : ""
      }`,
      `client version ${verdict.clientVersion}`,
      `authorization ${verdict.authorization}`,
      `get the model beforehand: deno task predownload --run-id ${verdict.runId}`,
    ]);
  },
});

if (import.meta.main) await runCommand(command);
