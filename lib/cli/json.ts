/** JSON for programs to read: exact big integers, and infinities that survive. */

/**
 * Like `JSON.stringify` with two spaces, but bigints become numbers when exact and else decimal
 * strings, byte arrays become hex, and non-finite numbers the strings `inf`, `-inf` and `nan`.
 */
export function toJson(value: unknown, indent = 2): string {
  return JSON.stringify(value, (_key, entry) => {
    if (typeof entry === "bigint") {
      return entry >= -9007199254740991n && entry <= 9007199254740991n
        ? Number(entry)
        : entry.toString();
    }
    if (entry instanceof Uint8Array) {
      return Array.from(entry, (byte) => byte.toString(16).padStart(2, "0")).join("");
    }
    if (typeof entry === "number" && !Number.isFinite(entry)) {
      return Number.isNaN(entry) ? "nan" : entry > 0 ? "inf" : "-inf";
    }
    return entry;
  }, indent);
}
