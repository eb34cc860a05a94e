/** The kept coefficients of one parameter as numbers. */
import { PsycheError } from "../../error.ts";
import type { SparseParameter } from "../trainer.ts";
import { decodeIndices, encodeIndices } from "./index_encoding.ts";
import type { DistroLayout } from "./layout.ts";
import { decodeValues, encodeFloats, encodeSigns } from "./value_encoding.ts";

/** Indices and expanded values of one parameter of one result, blocks row-major, `k` each. */
export interface Entries {
  indices: Int32Array;
  values: Float32Array;
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
