import type { Connection, Keypair, PublicKey } from "@solana/web3.js";
import { join } from "node:path";
import { clusterClock } from "../chain/cluster_clock.ts";
import { fetchCoordinator, fetchCoordinatorInstance } from "../chain/coordinator_reader.ts";
import type { ProgramIds } from "../chain/programs.ts";
import type { EventSink } from "../events/event.ts";
import { createPeerNetwork } from "../p2p/create_peer_network.ts";
import { deriveP2pSecret } from "../p2p/derive_identity.ts";
import type { CoordinatorState } from "../protocol/coordinator_state.ts";
import { createTrainer } from "../trainer/create_trainer.ts";
import type { HubProgress } from "../trainer/hub/hub_download.ts";
import type { HubSettings } from "../trainer/hub/hub_environment.ts";
import { resolveModelDirectory } from "../trainer/hub/resolve_model.ts";
import { parameterShapes, parseLlamaConfig } from "../trainer/model/llama_config.ts";
import type { Trainer, TrainerOptions } from "../trainer/trainer.ts";
import { RunModel } from "./model_source.ts";
import { checkBeforeTraining } from "./preflight.ts";
import { SolanaRunChain } from "./solana_run_chain.ts";
import { openTrainingData } from "./training_data.ts";
import { type StopReason, TrainingClient } from "./training_client.ts";

export interface StartTrainingOptions {
  connection: Connection;
  ids: ProgramIds;
  runId: string;
  wallet: Keypair;
  /** Grantee whose authorization is used to join. */
  authorizer?: PublicKey;
  clientVersion?: string;
  /** 32-byte ed25519 seed; absent = derived from run and wallet. */
  p2pSecret?: Uint8Array;
  listen: { host: string; port: number };
  staticPeers: string[];
  /** Clients of one machine find each other through it. */
  addressBookDirectory?: string;
  mdns: boolean;
  microBatchSize: number;
  threads: number;
  /** As in `TrainerOptions`. */
  device?: TrainerOptions["device"];
  /** As in `TrainerOptions`. */
  dataParallelism?: number;
  /** Each epoch's weights are saved below it as `<run id>-step<step>`. */
  checkpointDirectory?: string;
  priorityFeeMicroLamports?: number;
  /** Where models and data of the Hugging Face Hub go. */
  hub: HubSettings;
  emit: EventSink;
}

/**
 * Joins a run and trains until it is finished or `signal` is aborted. Everything that can be refused
 * is refused before the wallet joins.
 *
 * @throws PsycheError `RUN_NOT_FOUND`, `CANNOT_TRAIN`, `CLIENT_VERSION_MISMATCH`, and what the parts
 *   throw
 */
export async function startTraining(
  options: StartTrainingOptions,
  signal: AbortSignal,
): Promise<StopReason> {
  const { connection, ids, runId, wallet, emit } = options;
  const instance = await fetchCoordinatorInstance(connection, ids, runId);
  const { state } = await fetchCoordinator(connection, instance.coordinatorAccount);
  await checkBeforeTraining({
    connection,
    ids,
    state,
    joinAuthority: instance.joinAuthority,
    wallet: wallet.publicKey,
    authorizer: options.authorizer,
    clientVersion: options.clientVersion,
  });
  const clock = await clusterClock(connection);
  const p2pSecret = options.p2pSecret ?? deriveP2pSecret(runId, wallet.secretKey.slice(0, 32));
  const network = await createPeerNetwork({
    secretKey: p2pSecret,
    runId,
    listen: options.listen,
    staticPeers: options.staticPeers,
    addressBookDirectory: options.addressBookDirectory,
    mdns: options.mdns,
  });
  const hub = { ...options.hub, fetch, onProgress: downloadEvents(emit) };
  const model = new RunModel({
    network,
    createTrainer,
    resolveDirectory: (repo, signal) => resolveModelDirectory(repo, { ...hub, signal }),
    parameterShapes: (config) => parameterShapes(parseLlamaConfig(config)),
    microBatchSize: options.microBatchSize,
    threads: options.threads,
    device: options.device,
    dataParallelism: options.dataParallelism,
    emit,
  });
  try {
    emit({
      type: "started",
      run_id: runId,
      p2p: network.publicKey.toHex(),
      addresses: network.addresses,
      threads: options.threads,
    });
    const data = await openTrainingData({ state, p2pSecret, hub, fetch, emit }, signal);
    const client = new TrainingClient({
      identity: { signer: wallet.publicKey.toBytes(), p2pIdentity: network.publicKey },
      chain: new SolanaRunChain({
        connection,
        ids,
        runId,
        coordinatorAccount: instance.coordinatorAccount,
        joinAuthority: instance.joinAuthority,
        wallet,
        authorizer: options.authorizer,
        clock,
        priorityFeeMicroLamports: options.priorityFeeMicroLamports,
        onProblem: (error) =>
          emit({ type: "warning", code: "SUBSCRIPTION", message: error.message }),
      }),
      network,
      model,
      data,
      clientVersion: options.clientVersion,
      saveCheckpoint: options.checkpointDirectory === undefined
        ? undefined
        : (trainer, last) => saveCheckpoint(trainer, last, options.checkpointDirectory!, emit),
      emit,
    });
    const reason = await client.run(signal);
    emit({ type: "stopped", reason });
    return reason;
  } finally {
    await Promise.allSettled([model.close(), network.close()]);
  }
}

/** One event at each tenth of a download. */
function downloadEvents(emit: EventSink): (progress: HubProgress) => void {
  let last = "";
  return ({ name, bytes, totalBytes }) => {
    const tenth = Math.floor(10 * bytes / Math.max(1, totalBytes));
    const reason = `download of ${name}: ${10 * tenth} % of ${(totalBytes / 1e6).toFixed(1)} MB`;
    if (reason !== last) emit({ type: "waiting", reason });
    last = reason;
  };
}

/** Client-lifecycle.md section 8.1: `<run id>-step<step - 1>`, kept when it exists already. */
async function saveCheckpoint(
  trainer: Trainer,
  state: CoordinatorState,
  directory: string,
  emit: EventSink,
): Promise<void> {
  const step = Math.max(0, state.progress.step - 1);
  const path = join(directory, `${state.runId}-step${step}`);
  await trainer.saveCheckpoint(path);
  emit({ type: "checkpoint", path, step, weights_sha256: await trainer.weightsSha256() });
}
