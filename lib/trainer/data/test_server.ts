/** A web server for the tests of data providers; it has no test of its own. */

export interface Served {
  /** `http://127.0.0.1:<port>` */
  origin: string;
  /** Requests so far, as `GET /path bytes=0-9` or `HEAD /path`. */
  log: string[];
}

/** Serves files with HEAD and range requests; `override` may answer first. */
export async function withServer(
  files: Record<string, Uint8Array<ArrayBuffer>>,
  use: (served: Served) => Promise<void>,
  override: (request: Request, nth: number) => Response | Promise<Response> | undefined = () =>
    undefined,
): Promise<void> {
  const log: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const range = request.headers.get("range");
    log.push([request.method, pathname, range].filter((part) => part !== null).join(" "));
    const answer = await override(request, log.length);
    if (answer !== undefined) return answer;
    const file = files[pathname];
    if (file === undefined) return new Response(null, { status: 404 });
    const match = /^bytes=(\d+)-(\d+)$/.exec(range ?? "");
    const body = match === null ? file : file.slice(Number(match[1]), Number(match[2]) + 1);
    return new Response(request.method === "HEAD" ? null : body, {
      status: match === null ? 200 : 206,
      headers: { "content-length": String(body.length) },
    });
  });
  try {
    await use({ origin: `http://127.0.0.1:${server.addr.port}`, log });
  } finally {
    await server.shutdown();
  }
}

/** File of `count` two-byte tokens `first, first + 1, ...` */
export function tokenFile(first: number, count: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Uint16Array.from({ length: count }, (_, i) => first + i).buffer);
}
