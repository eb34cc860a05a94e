/**
 * DisTrO compression of all residuals in one run of the runtime: docs/protocol/training-math.md
 * sections 3.1, 3.2 step G, 3.4 to 3.6.
 */
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { PsycheError } from "../../error.ts";
import type { SparseParameter } from "../trainer.ts";
import { buildCompressGraph } from "./compress_graph.ts";
import { encodeIndices } from "./index_encoding.ts";
import { type DistroHyper, distroLayout } from "./layout.ts";
import { encodeFloats, encodeSigns } from "./value_encoding.ts";

/** The part of onnxruntime-node that is used. */
export interface CompressRuntime {
  InferenceSession: {
    create(
      model: Uint8Array,
      options: InferenceSession.SessionOptions,
    ): Promise<InferenceSession>;
  };
  Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => Tensor;
}

export interface CompressOptions extends DistroHyper {
  /** Send one sign bit per entry instead of its fp32 value (`quantize_1bit`). */
  oneBit: boolean;
  /** Intra-op threads of the runtime. */
  threads: number;
}

export interface Compressor {
  /**
   * Keeps the `k` entries of largest magnitude of every block, by descending magnitude, the lower
   * index first among equals. Residuals are only read.
   *
   * @param residuals fp32 by parameter name, in each parameter's own row-major order
   * @returns `full` with fp32 values, to keep for step C of the next round, and `sent` as it goes
   * out; the two share no memory
   * @throws PsycheError `DISTRO_INPUT_INVALID` for a residual that is missing or of a wrong size,
   * `DISTRO_NOT_FINITE` when a kept entry is NaN or infinite
   */
  compress(
    residuals: ReadonlyMap<string, Float32Array>,
  ): Promise<{ full: SparseParameter[]; sent: SparseParameter[] }>;
  /** Frees the runtime's memory. The compressor cannot be used afterwards. */
  release(): Promise<void>;
}

/**
 * Builds the compression graph for these parameters, which must be in ascending byte order of their
 * names; results come in the same order.
 *
 * @throws PsycheError `DISTRO_SHAPE_INVALID`, see {@linkcode distroLayout}
 */
export async function createCompressor(
  ort: CompressRuntime,
  parameters: ReadonlyArray<{ name: string; shape: readonly number[] }>,
  { chunk, topk, oneBit, threads }: CompressOptions,
): Promise<Compressor> {
  const layouts = parameters.map(({ shape }) => distroLayout(shape, { chunk, topk }));
  const { model, ports } = buildCompressGraph(layouts);
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    enableMemPattern: false,
    // Idle threads of this session must not take the cores from the training session's.
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  });

  async function compress(residuals: ReadonlyMap<string, Float32Array>) {
    const feeds: Record<string, Tensor> = {};
    parameters.forEach(({ name }, i) => {
      const data = residuals.get(name);
      const needed = layouts[i].blocks * layouts[i].totalk;
      if (data?.length !== needed) {
        throw new PsycheError(
          "DISTRO_INPUT_INVALID",
          `The residual of ${name} has ${
            data?.length ?? "no"
          } elements, ${needed} are needed; pass one per parameter.`,
        );
      }
      feeds[ports[i].input] = new ort.Tensor("float32", data, ports[i].inputShape);
    });
    const outputs = await session.run(feeds);
    const full: SparseParameter[] = [];
    const sent: SparseParameter[] = [];
    layouts.forEach(({ xshape, totalk, k }, i) => {
      const values = outputs[ports[i].values].data as Float32Array;
      if (!values.every(Number.isFinite)) {
        throw new PsycheError(
          "DISTRO_NOT_FINITE",
          `The residual of ${
            parameters[i].name
          } is not finite; discard this batch and lower the learning rate.`,
        );
      }
      const indices = encodeIndices(outputs[ports[i].indices].data as Int32Array, totalk);
      const floats = encodeFloats(values);
      full.push({ xshape: [...xshape], totalk, k, indices, values: floats, oneBit: false });
      sent.push({
        xshape: [...xshape],
        totalk,
        k,
        indices: indices.slice(),
        values: oneBit ? encodeSigns(values) : floats.slice(),
        oneBit,
      });
    });
    return { full, sent };
  }

  return { compress, release: () => session.release() };
}
