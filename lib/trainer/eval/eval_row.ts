/** Typed access to the columns of a row from elsewhere. */
import { PsycheError } from "../../error.ts";

export class Row {
  readonly #values: Record<string, unknown>;

  constructor(values: Record<string, unknown>) {
    this.#values = values;
  }

  text(column: string): string {
    const value = this.#values[column];
    if (typeof value === "string") return value;
    throw rowError(`${column} is ${show(value)}, not text`);
  }

  texts(column: string): string[] {
    return textList(this.#values[column], column);
  }

  /** `{ text: [...], label: [...] }`. */
  labelled(column: string): { texts: string[]; labels: string[] } {
    const value = this.#values[column] as Record<string, unknown> | null | undefined;
    const [texts, labels] = [value?.text, value?.label].map((list) => textList(list, column));
    if (texts.length !== labels.length) throw rowError(`${column} has not as many texts as labels`);
    return { texts, labels };
  }

  /** A whole number, also as text or 64-bit. */
  index(column: string, below: number): number {
    const value = this.#values[column];
    const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
    const index = typeof number === "bigint" ? Number(number) : number;
    if (typeof index === "number" && Number.isInteger(index) && index >= 0 && index < below) {
      return index;
    }
    throw rowError(`${column} is ${show(value)}, not an index below ${below}`);
  }

  /** Place of the column's text among `keys`. */
  oneOf(column: string, keys: readonly string[]): number {
    const index = keys.indexOf(this.text(column));
    if (index >= 0) return index;
    throw rowError(`${column} is ${show(this.#values[column])}, not one of ${keys.join(", ")}`);
  }
}

function textList(value: unknown, column: string): string[] {
  if (Array.isArray(value) && value.length > 0 && value.every((v) => typeof v === "string")) {
    return value;
  }
  throw rowError(`${column} is ${show(value)}, not a list of texts`);
}

function show(value: unknown): string {
  return (typeof value === "bigint" ? String(value) : JSON.stringify(value) ?? "missing")
    .slice(0, 60);
}

function rowError(reason: string): PsycheError {
  return new PsycheError(
    "DATA_COLUMN_INVALID",
    `The row cannot be used: ${reason}; check that the data belong to the task.`,
  );
}
