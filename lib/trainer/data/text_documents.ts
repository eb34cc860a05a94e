/** Documents out of text files and JSON lines, read as streams. */
import { PsycheError } from "../../error.ts";

export interface TextPart {
  text: string;
  /** True for the last part of a document. */
  end: boolean;
  /** Bytes of the source read so far. */
  bytes: number;
}

/** Characters of a part of a long document. */
const PART = 1 << 15;
/** Characters of one JSON line. */
const MAX_LINE = 1 << 28;

/**
 * One document: the whole stream. It is cut at line ends, before which nothing but white space of the
 * same line stands and after which a word begins, so that tokens do not span parts.
 */
export async function* plainDocument(
  bytes: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<TextPart> {
  let rest = "";
  let read = 0;
  for await (const { text, bytes: count } of decoded(bytes, name)) {
    rest += text;
    read = count;
    while (rest.length > PART) {
      const cut = lineEnd(rest);
      if (cut === 0) break;
      yield { text: rest.slice(0, cut), end: false, bytes: read };
      rest = rest.slice(cut);
    }
  }
  yield { text: rest, end: true, bytes: read };
}

/** Place after the last usable line end of the first part, or of all if it has none; 0 for none. */
function lineEnd(text: string): number {
  for (const limit of [PART, text.length - 1]) {
    for (let at = text.lastIndexOf("\n", limit - 1); at > 0; at = text.lastIndexOf("\n", at - 1)) {
      if (/\S/.test(text[at - 1]) && /\S/.test(text[at + 1] ?? " ")) return at + 1;
    }
  }
  return 0;
}

/**
 * One document a line: the string in `field` of each JSON object. Empty lines are skipped.
 *
 * @throws PsycheError `TEXT_INVALID` with the line number
 */
export async function* jsonLineDocuments(
  bytes: AsyncIterable<Uint8Array>,
  name: string,
  field: string,
): AsyncGenerator<TextPart> {
  let line = 0;
  let rest = "";
  let read = 0;
  const document = (json: string): TextPart[] => {
    line++;
    if (json.trim() === "") return [];
    let text: unknown;
    try {
      text = (JSON.parse(json) as Record<string, unknown>)?.[field];
    } catch (cause) {
      throw invalid(name, `line ${line} is not JSON`, cause);
    }
    if (typeof text !== "string") throw invalid(name, `line ${line} has no text in "${field}"`);
    return [{ text, end: true, bytes: read }];
  };
  for await (const { text, bytes: count } of decoded(bytes, name)) {
    read = count;
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    if (rest.length > MAX_LINE) throw invalid(name, `line ${line + 1} is too long`);
    for (const json of lines) yield* document(json);
  }
  yield* document(rest);
}

async function* decoded(bytes: AsyncIterable<Uint8Array>, name: string) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let read = 0;
  const decode = (part?: Uint8Array) => {
    try {
      return part === undefined ? decoder.decode() : decoder.decode(part, { stream: true });
    } catch (cause) {
      throw invalid(name, `the text near byte ${read} is not UTF-8`, cause);
    }
  };
  for await (const part of bytes) {
    const text = decode(part);
    read += part.length;
    yield { text, bytes: read };
  }
  yield { text: decode(), bytes: read };
}

function invalid(name: string, reason: string, cause?: unknown): PsycheError {
  return new PsycheError(
    "TEXT_INVALID",
    `${name} cannot be tokenized: ${reason}; correct the file or leave it out.`,
    { cause },
  );
}
