/** The accounts of the coordinator program as bytes, docs/protocol/onchain-coordinator.md section 1. */
import { PsycheError } from "../error.ts";
import type {
  Bloom,
  ClientState,
  CoordinatorConfig,
  CoordinatorState,
  EpochClient,
  JoinedClient,
  Round,
  RunState,
  Witness,
} from "./coordinator_state.ts";
import { BLOOM_KEYS, BLOOM_WORDS } from "./bloom.ts";
import { equalBytes, toHex } from "./bytes.ts";
import {
  CLIENT_VERSION_BYTES,
  DESCRIPTION_BYTES,
  MAX_CLIENTS,
  MAX_WITNESSES,
  RUN_ID_BYTES,
  SHORT_TEXT,
  STORED_ROUNDS,
} from "./limits.ts";
import { MemoryImage } from "./memory_image.ts";
import { readModel, tagName, writeModel, writeText } from "./model_image.ts";

/** Bytes of a coordinator account. */
export const COORDINATOR_ACCOUNT_SIZE = 119160;
/** First 8 bytes of a coordinator account. */
export const COORDINATOR_ACCOUNT_DISCRIMINATOR: Uint8Array = Uint8Array.of(
  0xef,
  0x21,
  0xb1,
  0x37,
  0x2c,
  0x9b,
  0x56,
  0x2b,
);
/** Bytes of a coordinator instance. */
export const COORDINATOR_INSTANCE_SIZE = 173;
/** First 8 bytes of a coordinator instance. */
export const COORDINATOR_INSTANCE_DISCRIMINATOR: Uint8Array = Uint8Array.of(
  0x9c,
  0x09,
  0x99,
  0x10,
  0xaf,
  0x18,
  0x1f,
  0xfc,
);
/** The layout this codec knows. */
export const LAYOUT_VERSION = 1n;

const ROUNDS = { at: 1048, size: 14112 };
const WITNESS_SIZE = 440;
const EPOCH_CLIENT_SIZE = 72;
const JOINED_CLIENT_SIZE = 96;
const NONCE_AT = 119152;

const RUN_STATES: readonly RunState[] = [0, 1, 2, 3, 4, 5, 6, 7];
const CLIENT_STATES: readonly ClientState[] = [0, 1, 2, 3];

function invalid(what: string): PsycheError {
  return new PsycheError(
    "COORDINATOR_ACCOUNT_INVALID",
    `Not a coordinator account of layout version ${LAYOUT_VERSION}: ${what}; check the run id, the program id and the cluster.`,
  );
}

function checkedImage(data: Uint8Array, size: number, discriminator: Uint8Array): MemoryImage {
  if (data.length !== size) throw invalid(`it has ${data.length} bytes instead of ${size}`);
  if (!equalBytes(data.subarray(0, 8), discriminator)) {
    throw invalid(
      `it starts with ${toHex(data.subarray(0, 8))} instead of ${toHex(discriminator)}`,
    );
  }
  return new MemoryImage(data);
}

function accountImage(data: Uint8Array): MemoryImage {
  const image = checkedImage(data, COORDINATOR_ACCOUNT_SIZE, COORDINATOR_ACCOUNT_DISCRIMINATOR);
  const version = image.u64(8);
  if (version !== LAYOUT_VERSION) throw invalid(`its layout version is ${version}`);
  return image;
}

function readLength(image: MemoryImage, at: number, capacity: number, field: string): number {
  const length = image.u64(at);
  if (length > BigInt(capacity)) {
    throw invalid(`${field} claims ${length} of at most ${capacity} entries`);
  }
  return Number(length);
}

function list<T>(length: number, read: (i: number) => T): T[] {
  return Array.from({ length }, (_, i) => read(i));
}

/**
 * Decodes a coordinator account. Padding and unused bytes are not looked at; only used entries of
 * lists are read. Everything is copied out of `data`.
 *
 * @throws PsycheError `COORDINATOR_ACCOUNT_INVALID` for a wrong length, discriminator or layout version,
 * unknown enum values and impossible lengths.
 */
export function decodeCoordinatorAccount(data: Uint8Array): CoordinatorState {
  const image = accountImage(data);
  const roundsHead = image.u32(94376);
  if (roundsHead >= STORED_ROUNDS) throw invalid(`rounds_head is ${roundsHead}`);
  return {
    version: image.u64(8),
    metadata: {
      name: image.text(16, SHORT_TEXT),
      description: image.text(80, DESCRIPTION_BYTES),
      numParameters: image.u64(360),
      vocabSize: image.u64(368),
    },
    runId: image.text(376, RUN_ID_BYTES),
    runState: tagName(RUN_STATES, image.u8(408), "run_state"),
    model: readModel(image),
    config: readConfig(image),
    progress: {
      epoch: image.u16(1032),
      step: image.u32(1036),
      epochStartDataIndex: image.u64(1040),
    },
    epochState: {
      rounds: [0, 1, 2, 3].map((i) => readRound(image, ROUNDS.at + i * ROUNDS.size)) as [
        Round,
        Round,
        Round,
        Round,
      ],
      clients: readEpochClients(image, 57496, 75928, "clients"),
      exitedClients: readEpochClients(image, 75936, 94368, "exited_clients"),
      roundsHead,
      startStep: image.u32(94380),
      lastStep: image.u32(94384),
      startTimestamp: image.u64(94392),
      firstRound: image.u8(94400) !== 0,
      coldStartEpoch: image.u8(94401) !== 0,
    },
    runStateStartUnixTimestamp: image.u64(94408),
    pendingPause: image.u8(94416) !== 0,
    clientsState: {
      clients: list(
        readLength(image, 119000, MAX_CLIENTS, "clients_state.clients"),
        (i) => readJoinedClient(image, 94424 + i * JOINED_CLIENT_SIZE),
      ),
      nextActive: image.u64(119008),
      currentEpochRates: {
        earningRateTotalShared: image.u64(119016),
        slashingRatePerClient: image.u64(119024),
      },
      futureEpochRates: {
        earningRateTotalShared: image.u64(119032),
        slashingRatePerClient: image.u64(119040),
      },
    },
    isWarmupFirstTick: image.u8(119048) !== 0,
    isTrainingFirstTick: image.u8(119049) !== 0,
    clientVersion: image.text(119050, CLIENT_VERSION_BYTES),
    nonce: image.u64(NONCE_AT),
  };
}

/**
 * The nonce of a coordinator account without decoding the rest; it grows with every change that
 * subscribers should see. Throws as {@linkcode decodeCoordinatorAccount}.
 */
export function readCoordinatorNonce(data: Uint8Array): bigint {
  return accountImage(data).u64(NONCE_AT);
}

/**
 * Encodes a coordinator account, 119160 bytes with zeros in padding and unused entries.
 *
 * @throws PsycheError `TEXT_TOO_LONG` or `LIST_TOO_LONG` for a state that no account can hold.
 */
export function encodeCoordinatorAccount(state: CoordinatorState): Uint8Array<ArrayBuffer> {
  const image = new MemoryImage(new Uint8Array(COORDINATOR_ACCOUNT_SIZE));
  image.set(0, COORDINATOR_ACCOUNT_DISCRIMINATOR);
  image.setU64(8, state.version);
  writeText(image, 16, SHORT_TEXT, state.metadata.name, "name");
  writeText(image, 80, DESCRIPTION_BYTES, state.metadata.description, "description");
  image.setU64(360, state.metadata.numParameters);
  image.setU64(368, state.metadata.vocabSize);
  writeText(image, 376, RUN_ID_BYTES, state.runId, "run id");
  image.setU8(408, state.runState);
  writeModel(image, state.model);
  writeConfig(image, state.config);
  image.setU16(1032, state.progress.epoch);
  image.setU32(1036, state.progress.step);
  image.setU64(1040, state.progress.epochStartDataIndex);
  const epoch = state.epochState;
  epoch.rounds.forEach((round, i) => writeRound(image, ROUNDS.at + i * ROUNDS.size, round));
  writeEpochClients(image, 57496, 75928, epoch.clients);
  writeEpochClients(image, 75936, 94368, epoch.exitedClients);
  image.setU32(94376, epoch.roundsHead);
  image.setU32(94380, epoch.startStep);
  image.setU32(94384, epoch.lastStep);
  image.setU64(94392, epoch.startTimestamp);
  image.setU8(94400, epoch.firstRound ? 1 : 0);
  image.setU8(94401, epoch.coldStartEpoch ? 1 : 0);
  image.setU64(94408, state.runStateStartUnixTimestamp);
  image.setU8(94416, state.pendingPause ? 1 : 0);
  const joined = state.clientsState;
  checkCapacity("clients_state.clients", joined.clients, MAX_CLIENTS);
  joined.clients.forEach((client, i) =>
    writeJoinedClient(image, 94424 + i * JOINED_CLIENT_SIZE, client)
  );
  image.setU64(119000, BigInt(joined.clients.length));
  image.setU64(119008, joined.nextActive);
  image.setU64(119016, joined.currentEpochRates.earningRateTotalShared);
  image.setU64(119024, joined.currentEpochRates.slashingRatePerClient);
  image.setU64(119032, joined.futureEpochRates.earningRateTotalShared);
  image.setU64(119040, joined.futureEpochRates.slashingRatePerClient);
  image.setU8(119048, state.isWarmupFirstTick ? 1 : 0);
  image.setU8(119049, state.isTrainingFirstTick ? 1 : 0);
  writeText(image, 119050, CLIENT_VERSION_BYTES, state.clientVersion, "client version");
  image.setU64(NONCE_AT, state.nonce);
  return image.bytes;
}

/** The small account that names the big one, section 1.1. */
export interface CoordinatorInstance {
  bump: number;
  /** May configure, pause and close the run. */
  mainAuthority: Uint8Array;
  /** Grantor of join authorizations. */
  joinAuthority: Uint8Array;
  /** Address of the coordinator account. */
  coordinatorAccount: Uint8Array;
  runId: string;
}

/** Decodes a coordinator instance. @throws PsycheError `COORDINATOR_ACCOUNT_INVALID`. */
export function decodeCoordinatorInstance(data: Uint8Array): CoordinatorInstance {
  const image = checkedImage(data, COORDINATOR_INSTANCE_SIZE, COORDINATOR_INSTANCE_DISCRIMINATOR);
  const length = image.u32(105);
  if (length > RUN_ID_BYTES) throw invalid(`its run id claims ${length} bytes`);
  return {
    bump: image.u8(8),
    mainAuthority: image.copy(9, 32),
    joinAuthority: image.copy(41, 32),
    coordinatorAccount: image.copy(73, 32),
    runId: new TextDecoder().decode(image.bytes.subarray(109, 109 + length)),
  };
}

function checkCapacity(field: string, entries: unknown[], capacity: number): void {
  if (entries.length > capacity) {
    throw new PsycheError(
      "LIST_TOO_LONG",
      `${field} has ${entries.length} entries but the account holds ${capacity}; remove some.`,
    );
  }
}

function readConfig(image: MemoryImage): CoordinatorConfig {
  return {
    warmupTime: image.u64(968),
    cooldownTime: image.u64(976),
    maxRoundTrainTime: image.u64(984),
    roundWitnessTime: image.u64(992),
    globalBatchSizeWarmupTokens: image.u64(1000),
    epochTime: image.u64(1008),
    totalSteps: image.u32(1016),
    initMinClients: image.u16(1020),
    minClients: image.u16(1022),
    witnessNodes: image.u16(1024),
    globalBatchSizeStart: image.u16(1026),
    globalBatchSizeEnd: image.u16(1028),
    verificationPercent: image.u8(1030),
    waitingForMembersExtraTime: image.u8(1031),
  };
}

function writeConfig(image: MemoryImage, config: CoordinatorConfig): void {
  image.setU64(968, config.warmupTime);
  image.setU64(976, config.cooldownTime);
  image.setU64(984, config.maxRoundTrainTime);
  image.setU64(992, config.roundWitnessTime);
  image.setU64(1000, config.globalBatchSizeWarmupTokens);
  image.setU64(1008, config.epochTime);
  image.setU32(1016, config.totalSteps);
  image.setU16(1020, config.initMinClients);
  image.setU16(1022, config.minClients);
  image.setU16(1024, config.witnessNodes);
  image.setU16(1026, config.globalBatchSizeStart);
  image.setU16(1028, config.globalBatchSizeEnd);
  image.setU8(1030, config.verificationPercent);
  image.setU8(1031, config.waitingForMembersExtraTime);
}

function readRound(image: MemoryImage, at: number): Round {
  const witnesses = readLength(image, at + 14080, MAX_WITNESSES, "witnesses");
  return {
    witnesses: list(witnesses, (i) => readWitness(image, at + i * WITNESS_SIZE)),
    dataIndex: image.u64(at + 14088),
    randomSeed: image.u64(at + 14096),
    height: image.u32(at + 14104),
    clientsLen: image.u16(at + 14108),
    tieBreakerTasks: image.u16(at + 14110),
  };
}

function writeRound(image: MemoryImage, at: number, round: Round): void {
  checkCapacity("witnesses", round.witnesses, MAX_WITNESSES);
  round.witnesses.forEach((witness, i) => writeWitness(image, at + i * WITNESS_SIZE, witness));
  image.setU64(at + 14080, BigInt(round.witnesses.length));
  image.setU64(at + 14088, round.dataIndex);
  image.setU64(at + 14096, round.randomSeed);
  image.setU32(at + 14104, round.height);
  image.setU16(at + 14108, round.clientsLen);
  image.setU16(at + 14110, round.tieBreakerTasks);
}

function readWitness(image: MemoryImage, at: number): Witness {
  return {
    proof: { position: image.u64(at), index: image.u64(at + 8), witness: image.u8(at + 16) },
    participantBloom: readBloom(image, at + 24),
    broadcastBloom: readBloom(image, at + 216),
    broadcastMerkle: image.copy(at + 408, 32),
  };
}

function writeWitness(image: MemoryImage, at: number, witness: Witness): void {
  image.setU64(at, witness.proof.position);
  image.setU64(at + 8, witness.proof.index);
  image.setU8(at + 16, witness.proof.witness);
  writeBloom(image, at + 24, witness.participantBloom);
  writeBloom(image, at + 216, witness.broadcastBloom);
  image.set(at + 408, witness.broadcastMerkle);
}

function readBloom(image: MemoryImage, at: number): Bloom {
  return { keys: image.u64s(at, BLOOM_KEYS), words: image.u64s(at + 64, BLOOM_WORDS) };
}

function writeBloom(image: MemoryImage, at: number, bloom: Bloom): void {
  image.setU64s(at, bloom.keys);
  image.setU64s(at + 64, bloom.words);
}

function readEpochClients(
  image: MemoryImage,
  at: number,
  lengthAt: number,
  field: string,
): EpochClient[] {
  return list(readLength(image, lengthAt, MAX_CLIENTS, field), (i) => {
    const client = at + i * EPOCH_CLIENT_SIZE;
    return {
      id: { signer: image.copy(client, 32), p2pIdentity: image.copy(client + 32, 32) },
      state: tagName(CLIENT_STATES, image.u8(client + 64), `state of ${field}`),
      exitedHeight: image.u32(client + 68),
    };
  });
}

function writeEpochClients(
  image: MemoryImage,
  at: number,
  lengthAt: number,
  clients: EpochClient[],
): void {
  checkCapacity("an epoch client list", clients, MAX_CLIENTS);
  clients.forEach((client, i) => {
    const entry = at + i * EPOCH_CLIENT_SIZE;
    image.set(entry, client.id.signer);
    image.set(entry + 32, client.id.p2pIdentity);
    image.setU8(entry + 64, client.state);
    image.setU32(entry + 68, client.exitedHeight);
  });
  image.setU64(lengthAt, BigInt(clients.length));
}

function readJoinedClient(image: MemoryImage, at: number): JoinedClient {
  return {
    id: { signer: image.copy(at, 32), p2pIdentity: image.copy(at + 32, 32) },
    earned: image.u64(at + 72),
    slashed: image.u64(at + 80),
    active: image.u64(at + 88),
  };
}

function writeJoinedClient(image: MemoryImage, at: number, client: JoinedClient): void {
  image.set(at, client.id.signer);
  image.set(at + 32, client.id.p2pIdentity);
  image.setU64(at + 72, client.earned);
  image.setU64(at + 80, client.slashed);
  image.setU64(at + 88, client.active);
}
