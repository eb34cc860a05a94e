/** The filters of getProgramAccounts and programSubscribe. */
import { invalidParams } from "./errors.ts";
import { bytesOf, Config, type JsonObject } from "./params.ts";

const FILTER_LIMIT = 4;
const MEMCMP_LIMIT = 128;

/** A predicate on account data made of `filters: [{ dataSize } | { memcmp } | { tokenAccountState }]`. */
export function accountFilters(config: Config): (data: Uint8Array) => boolean {
  const tests = config.list("filters", FILTER_LIMIT).map(filter);
  return (data) => tests.every((test) => test(data));
}

function filter(value: unknown): (data: Uint8Array) => boolean {
  if (value === "tokenAccountState") {
    return (data) => data.length === 165 || (data.length > 165 && data[165] === 2);
  }
  if (typeof value !== "object" || value === null) throw invalidParams("a filter is an object");
  const config = new Config(value as JsonObject);
  const size = config.integer("dataSize");
  if (size !== undefined) return (data) => data.length === size;
  const memcmp = config.nested("memcmp");
  if (!memcmp) throw invalidParams("a filter has dataSize or memcmp");
  const offset = memcmp.integer("offset");
  if (offset === undefined) throw invalidParams("memcmp needs an offset");
  const raw = memcmp.values.bytes;
  const bytes = Array.isArray(raw) ? byteList(raw) : bytesOf(
    memcmp.text("bytes") ?? "",
    memcmp.text("encoding") ?? "base58",
    MEMCMP_LIMIT,
    "memcmp.bytes",
  );
  return (data) =>
    offset + bytes.length <= data.length && bytes.every((byte, i) => data[offset + i] === byte);
}

function byteList(values: unknown[]): Uint8Array {
  if (values.length > MEMCMP_LIMIT) throw invalidParams("memcmp.bytes is too long");
  for (const it of values) {
    if (!Number.isInteger(it) || (it as number) < 0 || (it as number) > 255) {
      throw invalidParams("memcmp.bytes must be bytes");
    }
  }
  return Uint8Array.from(values as number[]);
}
