import { PsycheError } from "../../error.ts";

/** Of such a model every answer would be as good as any other, and look like one. */
export function notFinite(): PsycheError {
  return new PsycheError(
    "MODEL_NOT_FINITE",
    "The model computes NaN or infinity instead of likelihoods: its files are damaged or its " +
      "training diverged; take another checkpoint.",
  );
}
