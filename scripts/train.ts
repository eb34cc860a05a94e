/** Joins a run and trains; docs/protocol/commands.md section 10, client-lifecycle.md. */
import { defineCommand } from "../lib/cli/command.ts"; // first: it tames libraries while they load
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { checkpointSettings } from "../lib/cli/checkpoint_flags.ts";
import { startTraining } from "../lib/client/start_training.ts";
import { createEventWriter } from "../lib/cli/event_writer.ts";
import { findClientWallet } from "../lib/cli/find_client_wallet.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { sayWallet } from "../lib/cli/say_wallet.ts";
import { TRAIN_COMMAND } from "../lib/cli/train_flags.ts";
import { parseAddress, withReader } from "../lib/cli/with_operator.ts";
import { airdropUpTo } from "../lib/operator/airdrop.ts";
import { LAMPORTS_PER_SOL } from "../lib/operator/lamports.ts";
import { readIdentityFile } from "../lib/p2p/identity_file.ts";
import { gcsFromEnvironment } from "../lib/trainer/gcs/gcs_access.ts";
import { hubFromEnvironment } from "../lib/trainer/hub/hub_environment.ts";

if (import.meta.main) {
  await runCommand(defineCommand({
    ...TRAIN_COMMAND,
    run: (command) =>
      withReader(command, async ({ connection, cluster, programIds }) => {
        const { settings, output, signal, runtime } = command;
        const local = settings.faucet || cluster.startsWith("localnet");
        const wallet = await findClientWallet(command, runtime, {
          freshKeyDirectory: local
            ? settings.keyDirectory ?? join(".psyche", "keys", cluster)
            : null,
        });
        const { keypair } = wallet;
        const client = keypair.publicKey.toBase58();
        sayWallet(wallet, output);
        if (local) {
          const target = settings.airdropSol * LAMPORTS_PER_SOL;
          await airdropUpTo(connection, keypair.publicKey, target, signal);
        }
        const events = createEventWriter(output, {
          logs: output.json ? "none" : settings.logs,
          client,
          logFile: settings.writeLog,
        });
        try {
          const reason = await startTraining({
            connection,
            ids: programIds,
            runId: settings.runId,
            wallet: keypair,
            authorizer: settings.authorizer === undefined
              ? undefined
              : parseAddress(settings.authorizer, "--authorizer"),
            clientVersion: settings.clientVersion,
            p2pSecret: settings.identitySecretKeyPath === undefined
              ? undefined
              : await readIdentityFile(settings.identitySecretKeyPath),
            listen: { host: settings.bindP2pHost, port: settings.bindP2pPort },
            staticPeers: settings.peers?.split(",").filter((peer) => peer !== "") ?? [],
            addressBookDirectory: settings.addressBook ?? join(".psyche", "peers", cluster),
            mdns: settings.mdns,
            microBatchSize: settings.microBatchSize,
            threads: settings.threads ?? availableParallelism(),
            device: settings.device,
            dataParallelism: settings.dataParallelism,
            checkpoints: checkpointSettings(settings),
            priorityFeeMicroLamports: settings.priorityFee,
            evaluation: {
              tasks: settings.evalTasks ?? [],
              maxDocuments: settings.evalTaskMaxDocs,
              seed: settings.evalSeed,
              dataDirectory: settings.evalData,
              promptTask: settings.promptTask,
            },
            hub: hubFromEnvironment(runtime.environment),
            gcs: gcsFromEnvironment(runtime.environment),
            emit: events.emit,
          }, signal);
          const end = reason === "finished"
            ? `Run ${settings.runId} is finished.`
            : `Left run ${settings.runId}.`;
          // Who reads events as JSON has been told, and could not read a sentence.
          const lines = settings.logs === "json" ? [] : [end];
          output.result({ run_id: settings.runId, client, stopped: reason }, lines);
        } finally {
          events.close();
        }
      }),
  }));
}
