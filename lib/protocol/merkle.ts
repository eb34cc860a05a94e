/** The tree over a round's broadcasts, docs/protocol/deterministic-selection.md section 10. */
import { PsycheError } from "../error.ts";
import { equalBytes } from "./bytes.ts";
import { sha256 } from "./sha256.ts";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** What clients send for no broadcasts at all: 32 zero bytes. */
export const EMPTY_MERKLE_ROOT: Uint8Array = new Uint8Array(32);

/** One step up the tree: the parent, and the sibling on one side (null on the own side). */
export interface MerkleProofStep {
  target: Uint8Array;
  left: Uint8Array | null;
  right: Uint8Array | null;
}

const leafHash = (item: Uint8Array) => sha256(LEAF, item);
const nodeHash = (left: Uint8Array, right: Uint8Array) => sha256(NODE, left, right);

/** The next level; an unpaired last element is paired with itself. */
function parents(level: Uint8Array[]): Uint8Array[] {
  const above: Uint8Array[] = [];
  for (let i = 0; i < level.length; i += 2) {
    above.push(nodeHash(level[i], level[i + 1] ?? level[i]));
  }
  return above;
}

/** Root (32 bytes) over items in order; {@linkcode EMPTY_MERKLE_ROOT} for none. */
export function merkleRoot(items: Uint8Array[]): Uint8Array {
  if (items.length === 0) return EMPTY_MERKLE_ROOT.slice();
  let level = items.map(leafHash);
  while (level.length > 1) level = parents(level);
  return level[0];
}

/**
 * Proof that item `index` is under the root, from bottom to top; no steps for a single item.
 *
 * @throws PsycheError `MERKLE_INDEX_OUT_OF_RANGE`.
 */
export function merkleProof(items: Uint8Array[], index: number): MerkleProofStep[] {
  if (!Number.isInteger(index) || index < 0 || index >= items.length) {
    throw new PsycheError(
      "MERKLE_INDEX_OUT_OF_RANGE",
      `There is no item ${index} among ${items.length}; prove one of the items of the tree.`,
    );
  }
  const steps: MerkleProofStep[] = [];
  let level = items.map(leafHash);
  for (let at = index; level.length > 1; at >>= 1) {
    const sibling = level[at ^ 1] ?? level[at];
    const above = parents(level);
    const target = above[at >> 1];
    steps.push(
      at % 2 === 0
        ? { target, left: null, right: sibling }
        : { target, left: sibling, right: null },
    );
    level = above;
  }
  return steps;
}

/** True when `steps` lead from `item` to `root`. */
export function verifyMerkleProof(
  root: Uint8Array,
  item: Uint8Array,
  steps: MerkleProofStep[],
): boolean {
  let candidate = leafHash(item);
  for (const { target, left, right } of steps) {
    if ((left === null) === (right === null)) return false;
    if (!equalBytes(nodeHash(left ?? candidate, right ?? candidate), target)) return false;
    candidate = target;
  }
  return equalBytes(candidate, root);
}
