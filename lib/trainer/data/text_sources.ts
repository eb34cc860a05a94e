/** Documents of several files and of standard input, one after the other. */
import { PsycheError } from "../../error.ts";
import { jsonLineDocuments, plainDocument, type TextPart } from "./text_documents.ts";

export interface TextSourceOptions {
  /** Key of the text in JSON lines, default `text`. When given, `-` holds JSON lines too. */
  field?: string;
  /** What `-` means. */
  stdin: ReadableStream<Uint8Array>;
  signal?: AbortSignal;
}

/**
 * Size of all files in bytes; null when standard input (`-`) is among them.
 *
 * @throws PsycheError `TEXT_INVALID` when one is missing or a directory
 */
export async function sourceBytes(paths: readonly string[]): Promise<number | null> {
  const sizes = await Promise.all(
    paths.filter((path) => path !== "-").map(async (path) => {
      const { isDirectory, size } = await Deno.stat(path).catch((cause) => unreadable(path, cause));
      return isDirectory ? unreadable(path, new Error("a directory")) : size;
    }),
  );
  return paths.includes("-") ? null : sizes.reduce((a, b) => a + b, 0);
}

/**
 * All documents in order; names that end in `.jsonl` or `.ndjson` hold one a line.
 *
 * @throws PsycheError `TEXT_INVALID`
 */
export async function* readDocuments(
  paths: readonly string[],
  { field, stdin, signal }: TextSourceOptions,
): AsyncGenerator<TextPart> {
  let before = 0;
  for (const path of paths) {
    const bytes = path === "-"
      ? stdin
      : (await Deno.open(path).catch((cause) => unreadable(path, cause))).readable;
    const isLines = path === "-" ? field !== undefined : /\.(jsonl|ndjson)$/.test(path);
    const parts = isLines
      ? jsonLineDocuments(bytes, path, field ?? "text")
      : plainDocument(bytes, path);
    let read = 0;
    for await (const part of parts) {
      signal?.throwIfAborted();
      read = part.bytes;
      yield { ...part, bytes: before + read };
    }
    before += read;
  }
}

function unreadable(path: string, cause: unknown): never {
  throw new PsycheError("TEXT_INVALID", `${path} cannot be read as a file; check the path.`, {
    cause,
  });
}
