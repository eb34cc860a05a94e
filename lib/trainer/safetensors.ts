/**
 * The safetensors file format: 8 bytes header length (little-endian), a JSON header with dtype, shape
 * and byte range of every tensor, then the raw data. Everything is read as fp32, and written as F32
 * or rounded to BF16.
 *
 * Files come from other machines, so every number of the header is checked against the size of the
 * file before anything is allocated.
 */
import { PsycheError } from "../error.ts";
import { writeAll, writeFileAtomically } from "./atomic_file.ts";

/** Element types that can be read; all become fp32 without loss. */
export type SafetensorsType = "F32" | "F16" | "BF16";

export interface SafetensorsEntry {
  /** Type in the file. */
  dtype: SafetensorsType;
  shape: number[];
  /** fp32, row-major. */
  data: Float32Array<ArrayBuffer>;
}

const BYTES: Record<SafetensorsType, number> = { F32: 4, F16: 2, BF16: 2 };
/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
const METADATA = "__metadata__";

/**
 * Reads every tensor of a file, in the order of the data.
 *
 * @throws PsycheError `SAFETENSORS_INVALID` when the file is not well-formed (a header that is cut
 * off or not JSON, a size that does not fit its shape, ranges that overlap, leave holes or leave the
 * file, an element type other than F32, F16, BF16) or cannot be opened
 */
export async function readSafetensors(path: string): Promise<Map<string, SafetensorsEntry>> {
  using file = await Deno.open(path).catch((cause) => {
    throw new PsycheError(
      "SAFETENSORS_INVALID",
      `Cannot open ${path}; check that the file exists and is readable.`,
      { cause },
    );
  });
  const { size } = await file.stat();
  const prefix = await readExactly(file, path, 8);
  const headerBytes = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (headerBytes > MAX_HEADER_BYTES || headerBytes > size - 8) {
    throw invalid(path, `its header claims ${headerBytes} bytes of a file of ${size}`);
  }
  const tensors = parseHeader(path, await readExactly(file, path, headerBytes));
  const dataBytes = size - 8 - headerBytes;
  let end = 0;
  for (const { name, range } of tensors) {
    if (range[0] !== end) throw invalid(path, `${name} starts at ${range[0]}, not at ${end}`);
    end = range[1];
  }
  if (end !== dataBytes) {
    throw invalid(path, `its tensors take ${end} bytes, but ${dataBytes} follow the header`);
  }
  const result = new Map<string, SafetensorsEntry>();
  for (const { name, dtype, shape, range } of tensors) {
    const bytes = await readExactly(file, path, range[1] - range[0]);
    result.set(name, { dtype, shape, data: toFloats(bytes.buffer, dtype) });
  }
  return result;
}

/** Element types that can be written. */
export type WrittenType = "F32" | "BF16";

export interface WriteOptions {
  /** Strings for the `__metadata__` entry; `format` defaults to `pt`, which other readers expect. */
  metadata?: Readonly<Record<string, string>>;
  /** Default F32. */
  dtype?: WrittenType;
}

/** Bytes that one element takes in a file. */
export function elementBytes(dtype: SafetensorsType): number {
  return BYTES[dtype];
}

/**
 * Writes tensors, sorted by name, atomically.
 *
 * @throws PsycheError `SAFETENSORS_INVALID` when a shape does not fit its data
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>,
  { metadata = {}, dtype = "F32" }: WriteOptions = {},
): Promise<void> {
  const names = [...tensors.keys()].sort();
  const header: Record<string, unknown> = { [METADATA]: { format: "pt", ...metadata } };
  let end = 0;
  for (const name of names) {
    const { shape, data } = tensors.get(name)!;
    if (name === METADATA || shape.reduce((a, b) => a * b, 1) !== data.length) {
      throw new PsycheError(
        "SAFETENSORS_INVALID",
        `Tensor ${name} of shape [${shape}] with ${data.length} elements cannot be written to ${path}; correct its name or shape.`,
      );
    }
    const start = end;
    end += data.length * BYTES[dtype];
    header[name] = { dtype, shape, data_offsets: [start, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  // Spaces after the JSON align the data to 8 bytes.
  const head = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(json, 8);
  await writeFileAtomically(path, async (file) => {
    await writeAll(file, head);
    for (const name of names) {
      const { data } = tensors.get(name)!;
      const stored = dtype === "BF16" ? toBfloat16(data) : data;
      await writeAll(file, new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength));
    }
  });
}

interface TensorRange {
  name: string;
  dtype: SafetensorsType;
  shape: number[];
  range: [number, number];
}

/** Tensors of a header by position; sizes are checked against shapes, positions are not yet. */
function parseHeader(path: string, bytes: Uint8Array): TensorRange[] {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw invalid(path, "its header is not JSON", cause);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw invalid(path, "its header is not a JSON object");
  }
  const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
  const isCounts = (list: unknown): list is number[] => Array.isArray(list) && list.every(isCount);
  const tensors = Object.entries(header).filter(([name]) => name !== METADATA);
  return tensors.map(([name, entry]): TensorRange => {
    const { dtype, shape, data_offsets: range } = (entry ?? {}) as Record<string, unknown>;
    if (typeof dtype !== "string" || !Object.hasOwn(BYTES, dtype)) {
      throw invalid(path, `${name} has the element type ${dtype}, not F32, F16 or BF16`);
    }
    if (!isCounts(shape) || !isCounts(range) || range.length !== 2) {
      throw invalid(path, `${name} has no usable shape and data_offsets`);
    }
    const expected = shape.reduce((a, b) => a * b, 1) * BYTES[dtype as SafetensorsType];
    if (range[1] - range[0] !== expected) {
      throw invalid(path, `${name} holds ${range[1] - range[0]} bytes, its shape ${expected}`);
    }
    return { name, dtype: dtype as SafetensorsType, shape, range: [range[0], range[1]] };
  }).sort((a, b) => a.range[0] - b.range[0] || a.range[1] - b.range[1]);
}

/** Typed arrays use the machine's byte order: little-endian wherever Deno runs. */
function toFloats(buffer: ArrayBuffer, dtype: SafetensorsType): Float32Array<ArrayBuffer> {
  if (dtype === "F32") return new Float32Array(buffer);
  if (dtype === "F16") return new Float32Array(new Float16Array(buffer));
  const halves = new Uint16Array(buffer);
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
  return new Float32Array(bits.buffer);
}

/** The nearest bfloat16 values, ties to even; what is not a number stays none. */
function toBfloat16(data: Float32Array): Uint16Array {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const isNaN = (bits[i] & 0x7fffffff) > 0x7f800000;
    halves[i] = isNaN
      ? (bits[i] >>> 16) | 0x40
      : (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16;
  }
  return halves;
}

async function readExactly(
  file: Deno.FsFile,
  path: string,
  count: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count;) {
    const read = await file.read(bytes.subarray(at));
    if (read === null) throw invalid(path, `it ends ${count - at} bytes early`);
    at += read;
  }
  return bytes;
}

function invalid(path: string, reason: string, cause?: unknown): PsycheError {
  return new PsycheError(
    "SAFETENSORS_INVALID",
    `${path} is not a usable safetensors file: ${reason}; fetch or export it again.`,
    { cause },
  );
}
