/** The kept coefficients of parameters as numbers. */
import { PsycheError } from "../../error.ts";
import type { DistroResult, SparseParameter } from "../trainer.ts";
import { decodeIndices, encodeIndices } from "./index_encoding.ts";
import { type DistroLayout, entryCount } from "./layout.ts";
import { decodeValues, encodeFloats, encodeSigns } from "./value_encoding.ts";

/**
 * Indices and expanded values of one result: of one parameter, or of all one after the other. Blocks
 * are row-major, `k` entries each.
 */
export interface Entries {
  indices: Int32Array;
  values: Float32Array;
}

/** Room for the entries of all parameters, in memory that threads share. */
export function emptyEntries(layouts: readonly DistroLayout[]): Entries {
  const count = layouts.reduce((sum, layout) => sum + entryCount(layout), 0);
  return {
    indices: new Int32Array(new SharedArrayBuffer(4 * count)),
    values: new Float32Array(new SharedArrayBuffer(4 * count)),
  };
}

/** The parts of entries that belong to each parameter. */
export function byParameter(
  { indices, values }: Entries,
  layouts: readonly DistroLayout[],
): Entries[] {
  let end = 0;
  return layouts.map((layout) => {
    const start = end;
    end += entryCount(layout);
    return { indices: indices.subarray(start, end), values: values.subarray(start, end) };
  });
}

/**
 * Expands and checks a whole result, one parameter for each layout.
 *
 * @param into gets it; may be changed in part when the result is refused
 * @throws PsycheError `DISTRO_RESULT_INVALID`, see {@linkcode readEntries}
 */
export function readResult(
  result: DistroResult,
  layouts: readonly DistroLayout[],
  into: Entries,
): void {
  let at = 0;
  layouts.forEach((layout, p) => {
    const { indices, values } = readEntries(result[p], layout);
    into.indices.set(indices, at);
    into.values.set(values, at);
    at += entryCount(layout);
  });
}

/**
 * Expands and checks one parameter of one result against the layout of the parameter.
 *
 * @throws PsycheError `DISTRO_RESULT_INVALID` when shape, totalk, k, a size, an index or a value is
 * not what a result for this layout must have.
 */
export function readEntries(sparse: SparseParameter, layout: DistroLayout): Entries {
  const sameShape = sparse.xshape.length === layout.xshape.length &&
    sparse.xshape.every((n, axis) => n === layout.xshape[axis]);
  if (!sameShape || sparse.totalk !== layout.totalk || sparse.k !== layout.k) {
    throw new PsycheError(
      "DISTRO_RESULT_INVALID",
      `A result of shape [${sparse.xshape}], totalk ${sparse.totalk}, k ${sparse.k} does not fit a parameter of shape [${layout.xshape}], totalk ${layout.totalk}, k ${layout.k}; refuse it.`,
    );
  }
  const indices = decodeIndices(sparse.indices, layout.totalk);
  const count = layout.blocks * layout.k;
  if (indices.length !== count) {
    throw new PsycheError(
      "DISTRO_RESULT_INVALID",
      `A result holds ${indices.length} indices where ${count} are needed; refuse it.`,
    );
  }
  return { indices, values: decodeValues(sparse.values, count, sparse.oneBit) };
}

/** The form that is sent: docs/protocol/training-math.md sections 3.4 to 3.7. */
export function writeEntries(
  { indices, values }: Entries,
  { xshape, totalk, k }: DistroLayout,
  oneBit: boolean,
): SparseParameter {
  return {
    xshape: [...xshape],
    totalk,
    k,
    indices: encodeIndices(indices, totalk),
    values: oneBit ? encodeSigns(values) : encodeFloats(values),
    oneBit,
  };
}
