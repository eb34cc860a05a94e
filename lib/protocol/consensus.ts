/** How many witnesses decide, and what they decided; docs/protocol/deterministic-selection.md section 9. */
import type { Witness } from "./coordinator_state.ts";
import { bloomContains } from "./bloom.ts";
import { panic } from "./panic.ts";
import { sha256 } from "./sha256.ts";

/**
 * Witnesses that must agree, of `witnessNodes` configured ones, or of `count` when that is 0;
 * docs/protocol/coordinator-state-machine.md section 5.
 *
 * @throws PsycheError `PROGRAM_PANIC` when there is nobody to agree.
 */
export function quorum(count: number, witnessNodes: number): number {
  const witnesses = witnessNodes === 0 ? count : witnessNodes;
  if (witnesses === 0) return panic("the quorum of no witness is undefined");
  return witnesses <= 2 ? witnesses : Math.floor(2 * witnesses / 3);
}

/** Number of witnesses whose participant filter holds the wallet `signer` (32 bytes). */
export function healthScore(
  witnesses: Pick<Witness, "participantBloom">[],
  signer: Uint8Array,
): number {
  const item = sha256(signer);
  return witnesses.filter((witness) => bloomContains(witness.participantBloom, item)).length;
}

/**
 * Which of several commitments for one batch counts. Each witness votes for the first one, in local
 * order, that its broadcast filter holds; the highest score of at least `required` wins, on a tie the
 * one latest in the order.
 *
 * @param commitments 32-byte data hashes in local order.
 * @returns index into `commitments`, or null when none has a quorum.
 */
export function chooseCommitment(
  witnesses: Pick<Witness, "broadcastBloom">[],
  commitments: Uint8Array[],
  required: number,
): number | null {
  const scores = new Array<number>(commitments.length).fill(0);
  for (const { broadcastBloom } of witnesses) {
    const vote = commitments.findIndex((hash) => bloomContains(broadcastBloom, hash));
    if (vote >= 0) scores[vote]++;
  }
  let winner: number | null = null;
  scores.forEach((score, i) => {
    if (score >= required && (winner === null || score >= scores[winner])) winner = i;
  });
  return winner;
}
