/** Checked access to JSON-RPC parameters: every wrong one becomes error -32602 with its place. */
import { fromBase58, fromBase58Upto } from "./base58.ts";
import { invalidParams } from "./errors.ts";

export type JsonObject = { [name: string]: unknown };

/** Positional parameters of one call. */
export class Params {
  readonly #values: unknown[];

  constructor(values: unknown) {
    if (values !== undefined && values !== null && !Array.isArray(values)) {
      throw invalidParams("parameters must be an array");
    }
    this.#values = (values as unknown[] | null | undefined) ?? [];
  }

  at(index: number): unknown {
    return this.#values[index];
  }

  text(index: number, what: string): string {
    const value = this.#values[index];
    if (typeof value !== "string") throw invalidParams(`${what} must be a string`);
    return value;
  }

  /** An address as 32 bytes. */
  address(index: number, what = "address"): Uint8Array {
    return addressOf(this.#values[index], what);
  }

  integer(index: number, what: string): number {
    return integerOf(this.#values[index], what);
  }

  optionalInteger(index: number, what: string): number | undefined {
    const value = this.#values[index];
    return value === undefined || value === null ? undefined : integerOf(value, what);
  }

  list(index: number, what: string, limit: number): unknown[] {
    const value = this.#values[index];
    if (!Array.isArray(value)) throw invalidParams(`${what} must be an array`);
    if (value.length > limit) throw invalidParams(`${what} may have at most ${limit} entries`);
    return value;
  }

  /** The configuration object, empty when it is left out. */
  config(index: number): Config {
    const value = this.#values[index];
    if (value === undefined || value === null) return new Config({});
    if (typeof value !== "object" || Array.isArray(value)) {
      throw invalidParams("the configuration must be an object");
    }
    return new Config(value as JsonObject);
  }
}

/** The named options of one call. Unknown names are ignored, as validators do. */
export class Config {
  constructor(readonly values: JsonObject) {}

  has(name: string): boolean {
    return this.values[name] !== undefined && this.values[name] !== null;
  }

  flag(name: string): boolean {
    const value = this.values[name];
    if (value === undefined || value === null) return false;
    if (typeof value !== "boolean") throw invalidParams(`${name} must be true or false`);
    return value;
  }

  text(name: string): string | undefined {
    if (!this.has(name)) return undefined;
    const value = this.values[name];
    if (typeof value !== "string") throw invalidParams(`${name} must be a string`);
    return value;
  }

  choice<T extends string>(name: string, choices: readonly T[], otherwise: T): T {
    const value = this.text(name);
    if (value === undefined) return otherwise;
    if (!choices.includes(value as T)) {
      throw invalidParams(`${name} must be one of ${choices.join(", ")}`);
    }
    return value as T;
  }

  integer(name: string): number | undefined {
    return this.has(name) ? integerOf(this.values[name], name) : undefined;
  }

  address(name: string): Uint8Array | undefined {
    return this.has(name) ? addressOf(this.values[name], name) : undefined;
  }

  nested(name: string): Config | undefined {
    if (!this.has(name)) return undefined;
    const value = this.values[name];
    if (typeof value !== "object" || Array.isArray(value)) {
      throw invalidParams(`${name} must be an object`);
    }
    return new Config(value as JsonObject);
  }

  list(name: string, limit: number): unknown[] {
    if (!this.has(name)) return [];
    const value = this.values[name];
    if (!Array.isArray(value)) throw invalidParams(`${name} must be an array`);
    if (value.length > limit) throw invalidParams(`${name} may have at most ${limit} entries`);
    return value;
  }
}

export function addressOf(value: unknown, what: string): Uint8Array {
  const key = typeof value === "string" ? fromBase58(value, 32) : undefined;
  if (!key) throw invalidParams(`${what} must be an address of 32 bytes in base58`);
  return key;
}

function integerOf(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw invalidParams(`${what} must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`);
  }
  return value;
}

/** Bytes in base58 or base64, at most `limit` of them. */
export function bytesOf(text: string, encoding: string, limit: number, what: string): Uint8Array {
  if (encoding === "base58") {
    const bytes = fromBase58Upto(text, limit);
    if (!bytes) throw invalidParams(`${what} is not base58 of at most ${limit} bytes`);
    return bytes;
  }
  if (encoding !== "base64") throw invalidParams(`encoding ${encoding} is not supported here`);
  if (text.length > Math.ceil(limit / 3) * 4) {
    throw invalidParams(`${what} has ${text.length} characters: more than ${limit} bytes`);
  }
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    throw invalidParams(`${what} is not base64`);
  }
}
