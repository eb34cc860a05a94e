/** Read-only files of chosen folders over HTTP, with ranges; serves training data to clients. */
import { join, normalize, sep } from "node:path";

/** Folders by the first segment of the URL path. */
export type ServedFolders = ReadonlyMap<string, string>;

interface Range {
  start: number;
  /** Inclusive. */
  end: number;
}

/** Answers GET and HEAD of `/NAME/path`; undefined when NAME is not served. */
export async function serveFile(
  folders: ServedFolders,
  request: Request,
  pathname: string,
): Promise<Response | undefined> {
  const segments = pathname.split("/").slice(1);
  const folder = folders.get(decode(segments[0]) ?? "");
  if (folder === undefined) return undefined;
  const path = insidePath(folder, segments.slice(1));
  if (path === undefined) return text(404, "Not found");

  let file: Deno.FsFile | undefined;
  try {
    // The real path decides: a link may not lead out of the folder either.
    const [root, real] = await Promise.all([Deno.realPath(folder), Deno.realPath(path)]);
    if (real !== root && !real.startsWith(root.endsWith(sep) ? root : root + sep)) {
      return text(404, "Not found");
    }
    const info = await Deno.stat(real);
    if (!info.isFile) return text(404, "Not found");
    const headers = new Headers({
      "accept-ranges": "bytes",
      "access-control-allow-origin": "*",
      "content-type": real.endsWith(".json") ? "application/json" : "application/octet-stream",
      ...(info.mtime ? { "last-modified": info.mtime.toUTCString() } : {}),
    });
    const range = parseRange(request.headers.get("range"), info.size);
    if (range === "unsatisfiable") {
      headers.set("content-range", `bytes */${info.size}`);
      return new Response(null, { status: 416, headers });
    }
    const { start, end } = range ?? { start: 0, end: info.size - 1 };
    const length = end - start + 1;
    headers.set("content-length", String(length));
    if (range) headers.set("content-range", `bytes ${start}-${end}/${info.size}`);
    const status = range ? 206 : 200;
    if (request.method === "HEAD" || length === 0) return new Response(null, { status, headers });
    file = await Deno.open(real);
    await file.seek(start, Deno.SeekMode.Start);
    return new Response(file.readable.pipeThrough(firstBytes(length)), { status, headers });
  } catch (error) {
    file?.close();
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return text(404, "Not found");
    }
    return text(500, "The file cannot be read");
  }
}

function text(status: number, body: string): Response {
  return new Response(`${body}\n`, { status, headers: { "access-control-allow-origin": "*" } });
}

function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** The file under `folder` that the segments name; undefined when they try anything else. */
function insidePath(folder: string, segments: string[]): string | undefined {
  const names = segments.map(decode);
  const plain = (name: string | undefined): name is string =>
    !!name && name !== "." && name !== ".." && !/[/\\\0]/.test(name);
  if (names.length === 0 || !names.every(plain)) return undefined;
  return normalize(join(folder, ...names));
}

/** One `bytes=` range; undefined means the whole file: absent, another unit, several ranges. */
function parseRange(header: string | null, size: number): Range | "unsatisfiable" | undefined {
  const match = header?.match(/^bytes=(\d*)-(\d*)$/);
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") {
    const last = Number(match[2]);
    if (last === 0 || size === 0) return "unsatisfiable";
    return { start: Math.max(0, size - last), end: size - 1 };
  }
  const start = Number(match[1]);
  const end = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[2] !== "" && Number(match[2]) < start) return undefined;
  return start >= size ? "unsatisfiable" : { start, end };
}

/** Passes `length` bytes and ends there, which also closes the file. */
function firstBytes(length: number): TransformStream<Uint8Array, Uint8Array> {
  let left = length;
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk.length <= left ? chunk : chunk.subarray(0, left));
      left -= Math.min(left, chunk.length);
      if (left === 0) controller.terminate();
    },
  });
}
