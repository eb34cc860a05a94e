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
 * Which item a piece belongs to, where item `i` has `counts[i]` pieces, and its number within that
 * item. Asked for ascending pieces.
 */
export function pieceFinder(counts: readonly number[]): (piece: number) => [number, number] {
  let item = 0;
  let start = 0;
  return (piece) => {
    while (piece >= start + counts[item]) start += counts[item++];
    return [item, piece - start];
  };
}
