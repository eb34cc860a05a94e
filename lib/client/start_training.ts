import type { Connection, Keypair, PublicKey } from "@solana/web3.js";
import { clusterClock } from "../chain/cluster_clock.ts";
import { fetchCoordinator, fetchCoordinatorInstance } from "../chain/coordinator_reader.ts";
import type { ProgramIds } from "../chain/programs.ts";
import type { EventSink } from "../events/event.ts";
import { createPeerNetwork } from "../p2p/create_peer_network.ts";
import { deriveP2pSecret } from "../p2p/derive_identity.ts";
import { checkMemory } from "../trainer/check_memory.ts";
import { createTrainer } from "../trainer/create_trainer.ts";
import type { GcsSettings } from "../trainer/gcs/gcs_access.ts";
import type { HubSettings } from "../trainer/hub/hub_environment.ts";
import { parameterShapes, parseLlamaConfig } from "../trainer/model/llama_config.ts";
import { checkpointConfig, resolveCheckpoint } from "../trainer/resolve_checkpoint.ts";
import { checkDevices } from "../trainer/runtime/check_devices.ts";
import type { TrainerOptions } from "../trainer/trainer.ts";
import { type CheckpointSettings, openCheckpointer } from "./open_checkpointer.ts";
import { type EvaluationSettings, openIdleEvaluation } from "./open_idle_evaluation.ts";
import { RunModel } from "./model_source.ts";
import { checkBeforeTraining } from "./preflight.ts";
import { SolanaRunChain } from "./solana_run_chain.ts";
import { TrainingData } from "./training_data.ts";
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
  /** What is done with each epoch's weights; absent = nothing. */
  checkpoints?: CheckpointSettings;
  priorityFeeMicroLamports?: number;
  /** Evaluated while there is nothing to train. */
  evaluation?: EvaluationSettings;
  /** Where models and data of the Hugging Face Hub go. */
  hub: HubSettings;
  /** Where models in buckets of Google Cloud Storage go. */
  gcs: GcsSettings;
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
  await checkDevices(options);
  const onProgress = downloadEvents(emit);
  const hub = { ...options.hub, fetch, onProgress };
  const gcs = { ...options.gcs, fetch, onProgress };
  const idle = options.evaluation &&
    await openIdleEvaluation(options.evaluation, hub, emit, signal);
  const config = await checkpointConfig(state.model.checkpoint, { hub: { ...hub, signal } });
  if (config !== null) {
    const { maxSeqLen: sequenceLength, optimizer } = state.model;
    const shape = { sequenceLength, optimizer, longestText: idle?.longestText };
    checkMemory(parseLlamaConfig(config), { ...options, ...shape });
  }
  const chain = new SolanaRunChain({
    connection,
    ids,
    runId,
    coordinatorAccount: instance.coordinatorAccount,
    joinAuthority: instance.joinAuthority,
    wallet,
    authorizer: options.authorizer,
    clock: await clusterClock(connection),
    priorityFeeMicroLamports: options.priorityFeeMicroLamports,
    onProblem: (error) => emit({ type: "warning", code: "SUBSCRIPTION", message: error.message }),
  });
  const signer = wallet.publicKey.toBytes();
  const checkpointer = options.checkpoints &&
    await openCheckpointer(options.checkpoints, { state, chain, signer, hub, gcs, emit }, signal);
  const p2pSecret = options.p2pSecret ?? deriveP2pSecret(runId, wallet.secretKey.slice(0, 32));
  const network = await createPeerNetwork({
    secretKey: p2pSecret,
    runId,
    listen: options.listen,
    staticPeers: options.staticPeers,
    addressBookDirectory: options.addressBookDirectory,
    mdns: options.mdns,
  });
  const model = new RunModel({
    network,
    createTrainer,
    resolveDirectory: (checkpoint, signal) =>
      resolveCheckpoint(checkpoint, { hub: { ...hub, signal }, gcs: { ...gcs, signal } }),
    parameterShapes: (config) => parameterShapes(parseLlamaConfig(config)),
    microBatchSize: options.microBatchSize,
    threads: options.threads,
    device: options.device,
    dataParallelism: options.dataParallelism,
    longestText: idle?.longestText,
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
    const data = new TrainingData({ p2pSecret, hub, gcs, fetch, emit });
    await data.prepare(state, signal);
    const client = new TrainingClient({
      identity: { signer, p2pIdentity: network.publicKey },
      chain,
      network,
      model,
      data,
      idle,
      clientVersion: options.clientVersion,
      saveCheckpoint: checkpointer && ((trainer, last) => checkpointer.save(trainer, last)),
      emit,
    });
    const reason = await client.run(signal);
    await idle?.close();
    await checkpointer?.close();
    emit({ type: "stopped", reason });
    return reason;
  } finally {
    await Promise.allSettled([model.close(), network.close(), checkpointer?.close()]);
  }
}

/** One event at each tenth of a download. */
function downloadEvents(
  emit: EventSink,
): (progress: { name: string; bytes: number; totalBytes: number }) => void {
  let last = "";
  return ({ name, bytes, totalBytes }) => {
    const tenth = Math.floor(10 * bytes / Math.max(1, totalBytes));
    const reason = `download of ${name}: ${10 * tenth} % of ${(totalBytes / 1e6).toFixed(1)} MB`;
    if (reason !== last) emit({ type: "waiting", reason });
    last = reason;
  };
}
