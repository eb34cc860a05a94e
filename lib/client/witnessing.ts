import { emptyBloom } from "../protocol/bloom.ts";
import { merkleRoot } from "../protocol/merkle.ts";
import type { RoundRecord } from "./round_record.ts";
import type { WitnessContent } from "./run_chain.ts";

/** Rounds over which a witness averages its self-reported speed, client-lifecycle.md section 7.6. */
const WINDOW = 16;

/** Readiness message of Warmup: own index, no filters; client-lifecycle.md section 6. */
export function warmupWitnessContent(warmup: RoundRecord, ownIndex: number): WitnessContent {
  return {
    proof: { position: BigInt(ownIndex), index: BigInt(ownIndex), witness: 0 },
    participantBloom: emptyBloom(),
    broadcastBloom: emptyBloom(),
    broadcastMerkle: merkleRoot(warmup.broadcastHashes),
  };
}

/**
 * What an elected witness of `current` reports: the previous round's filters under the current round's
 * proof (client-lifecycle.md section 7.1). Null when this member is not elected.
 */
export function witnessContent(
  current: RoundRecord,
  previous: RoundRecord | null,
  ownIndex: number,
): WitnessContent | null {
  if (!current.committee?.isWitness(ownIndex)) return null;
  return {
    proof: current.committee.witnessProof(ownIndex),
    participantBloom: previous?.participantBloom ?? emptyBloom(),
    broadcastBloom: previous?.broadcastBloom ?? emptyBloom(),
    broadcastMerkle: merkleRoot(previous?.broadcastHashes ?? []),
  };
}

/** Running speed figures of a client, reported with each witness. */
export class RoundStatistics {
  #rounds: { training: number; total: number; tokens: number }[] = [];
  #lastEnd: number | null = null;
  #training = 0;
  /** Mean loss of the last trained round; +Infinity when none was trained. */
  loss = Infinity;

  /** A batch of this round was trained. */
  trained(milliseconds: number, loss: number): void {
    this.#training += milliseconds;
    this.loss = loss;
  }

  /** A round ended; `tokens` is the target batch of all clients together, `now` wall milliseconds. */
  roundEnded(tokens: number, now: number): void {
    if (this.#lastEnd !== null) {
      this.#rounds.push({ training: this.#training, total: now - this.#lastEnd, tokens });
      if (this.#rounds.length > WINDOW) this.#rounds.shift();
    }
    this.#lastEnd = now;
    this.#training = 0;
  }

  /** Tokens per second over all clients, 0 before the second round. */
  get tokensPerSecond(): number {
    return ratio(sum(this.#rounds, "tokens") * 1000, sum(this.#rounds, "total"));
  }

  /** Share of the time spent training, 0 to 1. */
  get efficiency(): number {
    return Math.min(1, ratio(sum(this.#rounds, "training"), sum(this.#rounds, "total")));
  }
}

function sum<K extends string>(items: Record<K, number>[], key: K): number {
  return items.reduce((total, item) => total + item[key], 0);
}

function ratio(value: number, by: number): number {
  return by > 0 ? value / by : 0;
}
