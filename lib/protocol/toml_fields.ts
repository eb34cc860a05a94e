import type { TomlTable, TomlValue } from "smol-toml";
import { utf8Length } from "./memory_image.ts";

/** What reading a file brought to light; collected, so that the user sees everything at once. */
export interface TomlReport {
  problems: { key: string; message: string }[];
  warnings: string[];
}

/** The single key of an externally tagged enum value and a reader for what stands behind it. */
export interface TomlVariant<T extends string> {
  name: T;
  /** Reads the content under the key `name`; empty for a unit variant. */
  content: TomlFields;
}

const U64_MAX = (1n << 64n) - 1n;

/**
 * Typed reading of one TOML table (parsed with integers as bigint). A missing or unfit value is
 * reported under its dotted key and a placeholder returned, so that reading goes on.
 */
export class TomlFields {
  readonly #table: TomlTable;
  readonly #read = new Set<string>();

  constructor(readonly path: string, table: TomlTable, readonly report: TomlReport) {
    this.#table = table;
  }

  u8 = (key: string): number => Number(this.#integer(key, 0xffn));
  u16 = (key: string): number => Number(this.#integer(key, 0xffffn));
  u32 = (key: string): number => Number(this.#integer(key, 0xffffffffn));
  u64 = (key: string): bigint => this.#integer(key, U64_MAX);

  /** A finite double; integers are accepted. */
  f64(key: string): number {
    const value = this.#take(key);
    if (value === undefined) return 0;
    if (typeof value === "bigint") return Number(value);
    if (typeof value === "number" && Number.isFinite(value)) return value;
    this.#refuse(key, value, "a finite number");
    return 0;
  }

  /** A finite number, rounded to single precision as the chain stores it. */
  f32(key: string): number {
    const value = Math.fround(this.f64(key));
    if (Number.isFinite(value)) return value;
    this.#refuse(key, this.#table[key], "within single precision");
    return 0;
  }

  /** Null when the key is absent. */
  optionalF32 = (key: string): number | null => this.has(key) ? this.f32(key) : null;

  boolean(key: string): boolean {
    const value = this.#take(key);
    if (typeof value === "boolean") return value;
    if (value !== undefined) this.#refuse(key, value, "true or false");
    return false;
  }

  /** Text of at most `size` bytes of UTF-8; longer text is refused, not cut. */
  text(key: string, size: number): string {
    const value = this.#take(key);
    if (value === undefined) return "";
    if (typeof value !== "string") {
      this.#refuse(key, value, "a text");
    } else if (value.includes("\0")) {
      this.#refuse(key, value, "a text without zero bytes");
    } else if (utf8Length(value) > size) {
      this.#refuse(
        key,
        value,
        `at most ${size} bytes of UTF-8 long (it has ${utf8Length(value)})`,
      );
    } else {
      return value;
    }
    return "";
  }

  /** Null when the key is absent. */
  optionalText = (key: string, size: number): string | null =>
    this.has(key) ? this.text(key, size) : null;

  /** A list of exactly `count` bytes. */
  bytes(key: string, count: number): Uint8Array<ArrayBuffer> {
    const value = this.#take(key);
    if (value === undefined) return new Uint8Array(count);
    const fits = Array.isArray(value) && value.length === count &&
      value.every((byte) => typeof byte === "bigint" && byte >= 0n && byte <= 255n);
    if (fits) return Uint8Array.from(value as bigint[], Number);
    this.#refuse(key, value, `a list of ${count} integers from 0 to 255`);
    return new Uint8Array(count);
  }

  /** A list of exactly `count` single-precision numbers. */
  f32s(key: string, count: number): number[] {
    const value = this.#take(key);
    if (value === undefined) return new Array(count).fill(0);
    const numbers = Array.isArray(value) ? value.map(Number).map(Math.fround) : [];
    const fits = Array.isArray(value) && value.length === count && numbers.every(Number.isFinite) &&
      value.every((entry) => typeof entry === "bigint" || typeof entry === "number");
    if (fits) return numbers;
    this.#refuse(key, value, `a list of ${count} finite numbers`);
    return new Array(count).fill(0);
  }

  /** One of several names. */
  choice<T extends string>(key: string, names: readonly T[]): T {
    const value = this.#take(key);
    const name = names.find((candidate) => candidate === value);
    if (name === undefined && value !== undefined) this.#refuse(key, value, oneOf(names));
    return name ?? names[0];
  }

  /** An externally tagged enum: a name, or a table with one name as its key; null when it is neither. */
  variant<T extends string>(key: string, names: readonly T[]): TomlVariant<T> | null {
    const value = this.#take(key);
    if (value === undefined) return null;
    const keys = isTable(value) ? Object.keys(value) : [value];
    const name = names.find((candidate) => candidate === keys[0]);
    if (keys.length !== 1 || name === undefined) {
      this.#refuse(key, value, `${oneOf(names)}, as a text or as the only key of a table`);
      return null;
    }
    const path = `${this.path}.${key}`;
    return { name, content: new TomlFields(path, isTable(value) ? value : {}, this.report) };
  }

  /** A table within this one. */
  table(key: string): TomlFields {
    const value = this.#take(key);
    if (value !== undefined && !isTable(value)) this.#refuse(key, value, "a table");
    const table = isTable(value) ? value : {};
    // One report for a missing table is enough: its keys would only repeat it.
    const report = isTable(value) ? this.report : { problems: [], warnings: [] };
    return new TomlFields(this.path === "" ? key : `${this.path}.${key}`, table, report);
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#table, key);
  }

  /** Reports keys that nobody asked for: as warnings, or as problems where they are refused. */
  close(unknown: "ignored" | "refused" = "ignored"): void {
    for (const key of Object.keys(this.#table)) {
      if (this.#read.has(key)) continue;
      if (unknown === "refused") this.problem(key, "is not a known key");
      else this.report.warnings.push(`${this.#key(key)} is not a known key and is ignored`);
    }
  }

  /** Marks keys that are known but of no interest. */
  ignore(...keys: string[]): void {
    for (const key of keys) this.#read.add(key);
  }

  /** Reports a rule that the value of `key` breaks. */
  problem(key: string, message: string): void {
    this.report.problems.push({ key: this.#key(key), message });
  }

  #integer(key: string, max: bigint): bigint {
    const value = this.#take(key);
    if (value === undefined) return 0n;
    if (typeof value === "bigint" && value >= 0n && value <= max) return value;
    this.#refuse(key, value, `an integer from 0 to ${max}`);
    return 0n;
  }

  #take(key: string): TomlValue | undefined {
    this.#read.add(key);
    if (this.has(key)) return this.#table[key];
    this.problem(key, "is missing");
    return undefined;
  }

  #refuse(key: string, value: unknown, rule: string): void {
    this.problem(key, `${show(value)} must be ${rule}`);
  }

  #key(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }
}

function isTable(value: TomlValue | undefined): value is TomlTable {
  return typeof value === "object" && !Array.isArray(value) &&
    (Object.getPrototypeOf(value) === null || Object.getPrototypeOf(value) === Object.prototype);
}

function oneOf(names: readonly string[]): string {
  return `one of ${names.map((name) => JSON.stringify(name)).join(", ")}`;
}

/** The value as the user would recognise it, not longer than a line. */
function show(value: unknown): string {
  const text = JSON.stringify(value, (_, part) => typeof part === "bigint" ? Number(part) : part) ??
    String(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
