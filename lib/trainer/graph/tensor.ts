/**
 * A graph under construction: typed tensors with static shapes and the nodes that make them.
 *
 * Operators (`elementwise.ts`, `shape.ts`, `linear.ts`, `gather.ts`) append nodes and may attach a
 * derivative; `autodiff.ts` follows the derivatives backwards. Nodes are stored in the order of
 * creation, which therefore is a topological order.
 */
import { PsycheError } from "../../error.ts";
import type { ElementType, OnnxAttribute } from "../onnx/proto.ts";

export type FloatType = "float32" | "float64";

/** How a gradient flows from a tensor to those it was computed from. */
export interface Derivative {
  parents: readonly Tensor[];
  /** Vector-Jacobian product: one gradient per parent, `undefined` where none flows. */
  vjp(gradient: Tensor): (Tensor | undefined)[];
}

export interface Tensor {
  readonly graph: Graph;
  /** Position in the order of creation. */
  readonly id: number;
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** The value, when this is a scalar constant. */
  readonly scalar?: number;
  derivative?: Derivative;
}

export interface GraphNode {
  op: string;
  /** Operator domain; the standard one when absent. */
  domain?: string;
  /** `undefined` where an optional one is left out. */
  inputs: readonly (Tensor | undefined)[];
  outputs: readonly Tensor[];
  attributes: Readonly<Record<string, OnnxAttribute>>;
}

interface NodeOptions {
  domain?: string;
  /** Of the outputs. */
  type?: ElementType;
  attributes?: Record<string, OnnxAttribute>;
}

/** What a graph is built for. */
export interface GraphTarget {
  /** Element type of weights and activations, by default float32; float64 serves the gradient checks. */
  float?: FloatType;
  /**
   * Operators may be used that the runtime's CPU provider has in float32: attention with its softmax as
   * an output is nowhere else, and CUDA and WebGPU would hand it to the CPU.
   */
  fused?: boolean;
}

export interface GraphConstant {
  tensor: Tensor;
  bytes: Uint8Array;
}

/** Number of elements of a shape. */
export function size(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** The error every operator throws for operands it cannot combine. */
export function graphError(message: string): PsycheError {
  return new PsycheError("GRAPH_INVALID", `${message}; correct the graph that is being built.`);
}

const ARRAYS = {
  float32: (v: ArrayLike<number>) => Float32Array.from(v),
  float64: (v: ArrayLike<number>) => Float64Array.from(v),
  int32: (v: ArrayLike<number>) => Int32Array.from(v),
  int64: (v: ArrayLike<number>) => BigInt64Array.from(Array.from(v, BigInt)),
} as const;

const ONE_CHARACTER_A_BYTE = new TextDecoder("latin1");

export class Graph {
  /** As in {@linkcode GraphTarget}. */
  readonly float: FloatType;
  readonly fused: boolean;
  readonly nodes: GraphNode[] = [];
  readonly inputs: Tensor[] = [];
  readonly #constants = new Map<string, GraphConstant>();
  #nextId = 0;

  constructor({ float = "float32", fused = false }: GraphTarget = {}) {
    this.float = float;
    this.fused = fused && float === "float32";
  }

  get constants(): Iterable<GraphConstant> {
    return this.#constants.values();
  }

  /** Declares a graph input, fed by name at every run. */
  input(name: string, shape: readonly number[], type: ElementType = this.float): Tensor {
    if (this.inputs.some((input) => input.name === name)) {
      throw graphError(`Input ${name} is declared twice`);
    }
    const tensor = this.#tensor(name, shape, type);
    this.inputs.push(tensor);
    return tensor;
  }

  /** A constant; equal constants are stored once. */
  constant(
    values: ArrayLike<number>,
    shape: readonly number[],
    type: keyof typeof ARRAYS = this.float,
  ): Tensor {
    if (values.length !== size(shape)) {
      throw graphError(`A constant of shape [${shape}] got ${values.length} values`);
    }
    const bytes = new Uint8Array(ARRAYS[type](values).buffer);
    const key = `${type}[${shape}]` + ONE_CHARACTER_A_BYTE.decode(bytes);
    const known = this.#constants.get(key);
    if (known !== undefined) return known.tensor;
    const tensor = this.#tensor(undefined, shape, type, shape.length === 0 ? values[0] : undefined);
    this.#constants.set(key, { tensor, bytes });
    return tensor;
  }

  scalar(value: number): Tensor {
    return this.constant([value], []);
  }

  /** Small int64 vector, as many operators take axes and shapes. */
  indices(values: readonly number[]): Tensor {
    return this.constant(values, [values.length], "int64");
  }

  /** Appends an operator with one output. */
  node(
    op: string,
    inputs: readonly Tensor[],
    shape: readonly number[],
    options: NodeOptions = {},
  ): Tensor {
    return this.nodeWithOutputs(op, inputs, [shape], { type: inputs[0].type, ...options })[0];
  }

  /** Appends an operator with outputs of these shapes, all of one type; inputs may be left out. */
  nodeWithOutputs(
    op: string,
    inputs: readonly (Tensor | undefined)[],
    shapes: readonly (readonly number[])[],
    options: NodeOptions,
  ): Tensor[] {
    const { domain, type = this.float, attributes = {} } = options;
    for (const input of inputs) {
      if (input !== undefined && input.graph !== this) {
        throw graphError(`${op} mixes tensors of two graphs`);
      }
    }
    const outputs = shapes.map((shape) => this.#tensor(undefined, shape, type));
    this.nodes.push({ op, domain, inputs, outputs, attributes });
    return outputs;
  }

  #tensor(
    name: string | undefined,
    shape: readonly number[],
    type: ElementType,
    scalar?: number,
  ): Tensor {
    const id = this.#nextId++;
    // Made names begin with a character that no parameter or output name uses.
    return { graph: this, id, name: name ?? `%${id}`, type, shape: [...shape], scalar };
  }
}

/** Attaches a derivative, replacing what the last operator of a composite attached. */
export function withDerivative(
  tensor: Tensor,
  parents: readonly Tensor[],
  vjp: Derivative["vjp"],
): Tensor {
  tensor.derivative = { parents, vjp };
  return tensor;
}
