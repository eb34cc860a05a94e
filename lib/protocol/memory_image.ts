/**
 * Little-endian fields at absolute offsets of one byte block: the C-layout memory image of the
 * coordinator account, docs/protocol/onchain-coordinator.md sections 1.2 and 1.4.
 */
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

export class MemoryImage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  /** Wraps `bytes`; nothing is copied. */
  constructor(bytes: Uint8Array) {
    // A plain Uint8Array, because slice() of a Node Buffer would share memory.
    this.bytes = new Uint8Array(
      bytes.buffer as ArrayBuffer,
      bytes.byteOffset,
      bytes.byteLength,
    );
    this.#view = new DataView(this.bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8 = (at: number): number => this.#view.getUint8(at);
  u16 = (at: number): number => this.#view.getUint16(at, true);
  u32 = (at: number): number => this.#view.getUint32(at, true);
  u64 = (at: number): bigint => this.#view.getBigUint64(at, true);
  f32 = (at: number): number => this.#view.getFloat32(at, true);
  f64 = (at: number): number => this.#view.getFloat64(at, true);

  setU8 = (at: number, value: number): void => this.#view.setUint8(at, value);
  setU16 = (at: number, value: number): void => this.#view.setUint16(at, value, true);
  setU32 = (at: number, value: number): void => this.#view.setUint32(at, value, true);
  setU64 = (at: number, value: bigint): void => this.#view.setBigUint64(at, value, true);
  setF32 = (at: number, value: number): void => this.#view.setFloat32(at, value, true);
  setF64 = (at: number, value: number): void => this.#view.setFloat64(at, value, true);

  /** A copy of `size` bytes. */
  copy(at: number, size: number): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(at, at + size);
  }

  set(at: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, at);
  }

  /** A copy of `count` u64. */
  u64s(at: number, count: number): BigUint64Array {
    return BigUint64Array.from({ length: count }, (_, i) => this.u64(at + 8 * i));
  }

  setU64s(at: number, values: BigUint64Array): void {
    values.forEach((value, i) => this.setU64(at + 8 * i, value));
  }

  /**
   * Text up to the first zero byte. Writers of the chain may cut a character in two, so broken UTF-8
   * is read as replacement characters instead of being refused.
   */
  text(at: number, size: number): string {
    const field = this.bytes.subarray(at, at + size);
    const end = field.indexOf(0);
    return DECODER.decode(end < 0 ? field : field.subarray(0, end));
  }

  /** Zero-filled text; the caller has checked that it fits. */
  setText(at: number, size: number, text: string): void {
    const bytes = ENCODER.encode(text);
    this.bytes.fill(0, at, at + size).set(bytes.subarray(0, size), at);
  }
}

/** Length of a text in UTF-8 bytes. */
export function utf8Length(text: string): number {
  return ENCODER.encode(text).length;
}
