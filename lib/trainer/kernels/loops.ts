/** All loops that threads share, by the names under which they tell each other. */
import { applyBands, stepBands } from "../distro/band_loops.ts";
import { elementwise, fingerprint, sumOfSquares } from "./elementwise_loops.ts";
import type { Loop } from "./loop.ts";

const table = { elementwise, sumOfSquares, fingerprint, stepBands, applyBands };

export type LoopName = keyof typeof table;
export type TaskOf<Name extends LoopName> = Parameters<typeof table[Name]>[0];

export const loops: { [Name in LoopName]: Loop<TaskOf<Name>> } = table;
