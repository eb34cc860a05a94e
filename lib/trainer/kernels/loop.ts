/** Loops whose pieces of work do not depend on each other, so that threads can share them. */
import type { KernelSpaces } from "./kernel_space.ts";

/** One loop as one thread sees it. */
export interface Pieces {
  count: number;
  /** Begins a run with its numbers; what it returns carries out one piece. Pieces come in ascending order. */
  begin(numbers: readonly number[]): (piece: number) => void;
}

/**
 * A loop over what `task` names, which all threads are told once. What differs from run to run goes into
 * the numbers. Results go to arrays in shared memory, each piece's to a place of its own, so that they
 * do not depend on who did what.
 */
export type Loop<Task> = (task: Task, spaces: KernelSpaces) => Pieces;

/**
 * The pieces of items, of which item `i` has `counts[i]`, as those of one loop.
 *
 * @param visit gets the item, the number of the piece within it and among all, and the run's numbers
 */
export function piecesOfItems(
  counts: readonly number[],
  visit: (item: number, within: number, piece: number, numbers: readonly number[]) => void,
): Pieces {
  return {
    count: counts.reduce((a, b) => a + b, 0),
    begin(numbers) {
      let item = 0;
      let start = 0;
      return (piece) => {
        while (piece >= start + counts[item]) start += counts[item++];
        visit(item, piece - start, piece, numbers);
      };
    },
  };
}
