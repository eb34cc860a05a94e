/** A Hugging Face Hub in memory, behind `fetch`. For tests. */
import { createHash } from "node:crypto";

export const FAKE_URL = "http://hub.test";
export const FAKE_TOKEN = "hf_secret";

export class FakeHub {
  /** Requests as `METHOD path [range]`. */
  readonly requests: string[] = [];
  commit = "c".repeat(40);
  online = true;
  needsToken = false;
  /** Cuts the body of the next downloads after so many bytes. */
  cutAfter: number[] = [];
  ranges = true;
  /** Paths whose content is not what the listing says. */
  damaged = new Set<string>();

  /** @param files contents by path; paths that end in .safetensors or .parquet are "large" */
  constructor(readonly name: string, readonly files: Map<string, Uint8Array<ArrayBuffer>>) {}

  readonly fetch = (input: string | URL | Request, init?: RequestInit): Promise<Response> =>
    Promise.try(() => {
      const request = new Request(input, init);
      const { pathname } = new URL(request.url);
      const path = decodeURIComponent(pathname);
      this.requests.push(`${path} ${request.headers.get("range") ?? ""}`.trim());
      if (!this.online) throw new TypeError("no network");
      const token = request.headers.get("authorization");
      if (this.needsToken && token !== `Bearer ${FAKE_TOKEN}`) {
        return new Response("", { status: 401 });
      }
      const api = /^\/api\/(?:models|datasets)\/([^/]+\/[^/]+)\/(revision|tree)\/(.+)$/.exec(path);
      if (api?.[1] === this.name) {
        const [, , kind, revision] = api;
        if (
          kind === "revision" && !["main", "refs/convert/parquet", this.commit].includes(revision)
        ) {
          return new Response("", { status: 404 });
        }
        if (kind === "revision") return Response.json({ sha: this.commit, id: this.name });
        return this.#listing(request.url);
      }
      const file = /^\/(?:datasets\/)?([^/]+\/[^/]+)\/resolve\/([0-9a-f]{40})\/(.+)$/.exec(path);
      const content = file?.[1] === this.name ? this.files.get(file[3]) : undefined;
      if (content === undefined) return new Response("", { status: 404 });
      return this.#content(
        this.damaged.has(file![3]) ? content.map((b) => b ^ 1) : content,
        request,
      );
    });

  /** Two pages, to see that the second is asked for. */
  #listing(url: string): Response {
    const all = [...this.files].map(([path, content]) => ({
      type: "file",
      path,
      size: content.length,
      oid: createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex"),
      ...(/\.(safetensors|parquet)$/.test(path)
        ? {
          lfs: {
            oid: createHash("sha256").update(content).digest("hex"),
            size: content.length,
            pointerSize: 130,
          },
        }
        : {}),
    }));
    const half = Math.ceil(all.length / 2);
    if (url.includes("cursor=")) return Response.json(all.slice(half));
    const headers = { link: `<${url}&cursor=2>; rel="next"` };
    return Response.json(all.slice(0, half), { headers });
  }

  #content(content: Uint8Array<ArrayBuffer>, request: Request): Response {
    const from = this.ranges
      ? Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0)
      : 0;
    const rest = content.subarray(from);
    const cut = this.cutAfter.shift();
    const body = cut === undefined ? rest : new ReadableStream({
      start(controller) {
        controller.enqueue(rest.subarray(0, cut));
      },
      pull(controller) {
        controller.error(new Error("connection reset"));
      },
    });
    return new Response(body, { status: from > 0 ? 206 : 200 });
  }
}
