/** The kept coefficients of parameters as numbers. */
import { PsycheError } from "../../error.ts";
import type { SparseParameter } from "../trainer.ts";
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
 * Expands and checks one parameter of one result against the layout of the parameter.
 *
 * @param into gets it; new arrays unless given. May be changed in part when the result is refused
 * @throws PsycheError `DISTRO_RESULT_INVALID` when shape, totalk, k, a size, an index or a value is
 * not what a result for this layout must have.
 */
export function readEntries(
  sparse: SparseParameter,
  layout: DistroLayout,
  into: Entries = {
    indices: new Int32Array(entryCount(layout)),
    values: new Float32Array(entryCount(layout)),
  },
): Entries {
  const sameShape = sparse.xshape.length === layout.xshape.length &&
    sparse.xshape.every((n, axis) => n === layout.xshape[axis]);
  if (!sameShape || sparse.totalk !== layout.totalk || sparse.k !== layout.k) {
    throw new PsycheError(
      "DISTRO_RESULT_INVALID",
      `A result of shape [${sparse.xshape}], totalk ${sparse.totalk}, k ${sparse.k} does not fit a parameter of shape [${layout.xshape}], totalk ${layout.totalk}, k ${layout.k}; refuse it.`,
    );
  }
  decodeIndices(sparse.indices, layout.totalk, into.indices);
  decodeValues(sparse.values, into.values.length, sparse.oneBit, into.values);
  return into;
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
