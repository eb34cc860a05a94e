/** Gossip messages of a run, docs/protocol/client-lifecycle.md section 5.3. */
import { PsycheError } from "../error.ts";
import type { BatchId, Committee, CommitteeProof } from "./coordinator_state.ts";
import { type Commitment, COMMITMENT_SIZE } from "./commitment.ts";
import { PostcardReader, PostcardWriter } from "./postcard.ts";

/** Longest encoded broadcast, bytes. */
export const MAX_BROADCAST_SIZE = 4096;

/** Where the bytes behind a message are: SHA-256 of the blob (32 bytes) and its length in bytes. */
export interface Ticket {
  hash: Uint8Array;
  size: number;
}

export type BroadcastData =
  | { kind: "TrainingResult"; batchId: BatchId; ticket: Ticket }
  /** `merkle`: root (32 bytes) over the broadcasts seen; `warmup`: the sender has loaded the model. */
  | { kind: "Finished"; merkle: Uint8Array; warmup: boolean };

export interface Broadcast {
  /** Coordinator step; 0 in warmup. */
  step: number;
  /** The sender's committee proof of that round; zeros in warmup. */
  proof: CommitteeProof;
  commitment: Commitment;
  /** Raised by one when the message is sent again, so that it is not taken for a duplicate. */
  nonce: number;
  data: BroadcastData;
}

/**
 * Encodes a broadcast. The commitment is one byte string of 96 bytes, hash before signature.
 *
 * @throws PsycheError `COMMITMENT_INVALID` when hash or signature have another length.
 */
export function encodeBroadcast(broadcast: Broadcast): Uint8Array<ArrayBuffer> {
  const { proof, commitment, data } = broadcast;
  if (commitment.dataHash.length !== 32 || commitment.signature.length !== 64) {
    throw new PsycheError(
      "COMMITMENT_INVALID",
      `A commitment has 32 + 64 bytes, not ${commitment.dataHash.length} + ` +
        `${commitment.signature.length}; sign the data hash with the p2p key.`,
    );
  }
  const writer = new PostcardWriter()
    .varint(broadcast.step)
    .varint(proof.committee).varint(proof.position).varint(proof.index)
    .varint(COMMITMENT_SIZE).array(commitment.dataHash).array(commitment.signature)
    .varint(broadcast.nonce);
  if (data.kind === "TrainingResult") {
    writer.varint(0).varint(data.batchId.start).varint(data.batchId.end)
      .array(data.ticket.hash).varint(data.ticket.size);
  } else {
    writer.varint(1).array(data.merkle).bool(data.warmup);
  }
  return writer.finish();
}

/**
 * Decodes a broadcast of an already verified sender; proofs and signatures inside are not verified.
 *
 * @throws PsycheError `MESSAGE_INVALID` for anything but exactly one well-formed broadcast.
 */
export function decodeBroadcast(bytes: Uint8Array): Broadcast {
  const reader = new PostcardReader(bytes, "broadcast");
  if (bytes.length > MAX_BROADCAST_SIZE) {
    throw reader.invalid("start", `its ${bytes.length} bytes are above ${MAX_BROADCAST_SIZE}`);
  }
  const step = reader.u32("step");
  const proof: CommitteeProof = {
    committee: reader.count("proof.committee", 2) as Committee,
    position: reader.u64("proof.position"),
    index: reader.u64("proof.index"),
  };
  const commitmentSize = reader.count("length of commitment", COMMITMENT_SIZE);
  if (commitmentSize !== COMMITMENT_SIZE) {
    throw reader.invalid("commitment", `it has ${commitmentSize} instead of 96 bytes`);
  }
  const commitment = {
    dataHash: reader.array("commitment.data_hash", 32),
    signature: reader.array("commitment.signature", 64),
  };
  const nonce = reader.u32("nonce");
  const data = reader.count("data", 1) === 0 ? readTrainingResult(reader) : readFinished(reader);
  reader.finish();
  return { step, proof, commitment, nonce, data };
}

function readTrainingResult(reader: PostcardReader): BroadcastData {
  return {
    kind: "TrainingResult",
    batchId: readBatchId(reader),
    ticket: {
      hash: reader.array("ticket.hash", 32),
      size: reader.count("ticket.size", Number.MAX_SAFE_INTEGER),
    },
  };
}

function readFinished(reader: PostcardReader): BroadcastData {
  return {
    kind: "Finished",
    merkle: reader.array("broadcast_merkle", 32),
    warmup: reader.bool("warmup"),
  };
}

/** Reads a closed interval that is not empty. */
export function readBatchId(reader: PostcardReader): BatchId {
  const start = reader.u64("batch_id.start");
  const end = reader.u64("batch_id.end");
  if (end < start) throw reader.invalid("batch_id", `${end} lies before ${start}`);
  return { start, end };
}
