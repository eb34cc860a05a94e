/** Which fields differ between two plain values, named as in the run configuration file. */

export interface FieldChange {
  /** For example `config.epoch_time`. */
  field: string;
  before: string;
  after: string;
}

/** Fields in the order of `after`; absent parts show as `(none)`. */
export function fieldChanges(name: string, before: unknown, after: unknown): FieldChange[] {
  const old = flatten(name, before);
  const changes: FieldChange[] = [];
  const fresh = flatten(name, after);
  for (const [field, value] of fresh) {
    const previous = old.get(field) ?? "(none)";
    if (!isSame(field, previous, value)) changes.push({ field, before: previous, after: value });
  }
  for (const [field, value] of old) {
    if (!fresh.has(field)) changes.push({ field, before: value, after: "(none)" });
  }
  return changes;
}

/** Optimizer numbers are stored with 32 bits, so they come back from the chain rounded. */
function isSame(field: string, a: string, b: string): boolean {
  return a === b ||
    (field.startsWith("model.optimizer.") && Math.fround(Number(a)) === Math.fround(Number(b)));
}

function flatten(name: string, value: unknown, into = new Map<string, string>()) {
  if (value instanceof Uint8Array) {
    into.set(name, Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join(""));
  } else if (typeof value === "object" && value !== null) {
    for (const [key, entry] of Object.entries(value)) {
      const part = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      flatten(Array.isArray(value) ? `${name}[${key}]` : `${name}.${part}`, entry, into);
    }
  } else {
    into.set(name, value === null || value === undefined ? "(none)" : String(value));
  }
  return into;
}
