import { basename, join } from "node:path";

/**
 * A `fetch` that answers from a directory: the file named by the last part of the URL, with HEAD and
 * byte ranges, as the localnet serves it. For reading a run's data while no localnet is up.
 */
export function fileFetch(directory: string): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const bytes = await Deno.readFile(join(directory, basename(new URL(request.url).pathname)));
    const range = request.headers.get("range")?.match(/^bytes=(\d+)-(\d+)$/);
    const part = range ? bytes.subarray(Number(range[1]), Number(range[2]) + 1) : bytes;
    const headers = new Headers({ "content-length": `${part.length}` });
    if (range) headers.set("content-range", `bytes ${range[1]}-${range[2]}/${bytes.length}`);
    const body = request.method === "HEAD" ? null : part;
    return new Response(body, { status: range ? 206 : 200, headers });
  };
}
