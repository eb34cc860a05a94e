/**
 * The postcard encoding: little-endian base-128 integers, zig-zag for signed ones, a length before
 * lists, texts and byte strings, fixed arrays without one. docs/protocol/client-lifecycle.md section 5.3.
 *
 * The reader is strict, so that every value has exactly one encoding: no padded integers, no rest.
 */
import { PsycheError } from "../error.ts";

/** Grows as it is written to. */
export class PostcardWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** One byte as it is. */
  u8(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  /** An unsigned integer of any width up to 64 bits, also a length or the tag of an enum. */
  varint(value: number | bigint): this {
    let rest = BigInt(value);
    for (; rest > 0x7fn; rest >>= 7n) this.u8(Number(rest & 0x7fn) | 0x80);
    return this.u8(Number(rest));
  }

  /** An i64. */
  zigzag(value: number | bigint): this {
    const signed = BigInt(value);
    return this.varint(signed < 0n ? -2n * signed - 1n : 2n * signed);
  }

  /** A fixed array: no length. */
  array(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** A byte string with its length. */
  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).array(bytes);
  }

  text(text: string): this {
    return this.bytes(new TextEncoder().encode(text));
  }

  /** What has been written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + count));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** Every method throws a PsycheError `MESSAGE_INVALID` instead of reading past the end. */
export class PostcardReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  /** `what` names the message in errors. */
  constructor(bytes: Uint8Array, readonly what: string) {
    // Not the subclass Buffer, whose slice() shares memory.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(field: string): number {
    if (this.#at >= this.#bytes.length) throw this.invalid(field, "the message ends before it");
    return this.#bytes[this.#at++];
  }

  bool(field: string): boolean {
    const value = this.u8(field);
    if (value > 1) throw this.invalid(field, `${value} is neither false nor true`);
    return value === 1;
  }

  /** An unsigned integer of at most `max`. */
  varint(field: string, max: bigint): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.u8(field);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte > 0x7f) continue;
      if (byte === 0 && shift > 0n) throw this.invalid(field, "it is padded");
      if (value > max) throw this.invalid(field, `${value} is above ${max}`);
      return value;
    }
    throw this.invalid(field, "it is longer than 10 bytes");
  }

  u16 = (field: string): number => Number(this.varint(field, 0xffffn));
  u32 = (field: string): number => Number(this.varint(field, 0xffffffffn));
  u64 = (field: string): bigint => this.varint(field, (1n << 64n) - 1n);

  /** A length, a tag or another small number of at most `max`. */
  count = (field: string, max: number): number => Number(this.varint(field, BigInt(max)));

  /** An i64. */
  zigzag(field: string): bigint {
    const value = this.u64(field);
    return (value & 1n) === 1n ? -(value >> 1n) - 1n : value >> 1n;
  }

  /** A copy of a fixed array. */
  array(field: string, length: number): Uint8Array<ArrayBuffer> {
    if (length > this.#bytes.length - this.#at) {
      throw this.invalid(field, `its ${length} bytes do not fit the rest of the message`);
    }
    const start = this.#at;
    this.#at += length;
    return this.#bytes.slice(start, this.#at) as Uint8Array<ArrayBuffer>;
  }

  /** A copy of a byte string of at most `max` bytes. */
  bytes(field: string, max: number): Uint8Array<ArrayBuffer> {
    return this.array(field, this.count(`length of ${field}`, max));
  }

  /** A UTF-8 text of at most `max` bytes. */
  text(field: string, max: number): string {
    const bytes = this.bytes(field, max);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw this.invalid(field, "it is not UTF-8");
    }
  }

  /** Refuses trailing bytes. */
  finish(): void {
    const rest = this.#bytes.length - this.#at;
    if (rest > 0) throw this.invalid("end", `${rest} bytes follow it`);
  }

  /** The error for a field of this message. */
  invalid(field: string, reason: string): PsycheError {
    return new PsycheError(
      "MESSAGE_INVALID",
      `A ${this.what} cannot be read at ${field}: ${reason}; its sender runs another version or is hostile, drop it.`,
    );
  }
}
