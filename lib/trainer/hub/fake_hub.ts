/** A Hugging Face Hub in memory, behind `fetch`. For tests. */
import { createHash } from "node:crypto";
import { FakeCommits } from "./fake_commits.ts";

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

  /** Refuses so many of the next commits with status 500. */
  failingCommits = 0;
  /** Files of earlier commits. */
  readonly #history = new Map<string, Map<string, Uint8Array<ArrayBuffer>>>();
  readonly commits = new FakeCommits((changes) => {
    this.#history.set(this.commit, new Map(this.files));
    for (const [path, content] of changes) {
      if (content === null) this.files.delete(path);
      else this.files.set(path, content);
    }
    this.commit = createHash("sha1").update(`${this.commit}${this.#history.size}`).digest("hex");
    return this.commit;
  });

  /** @param files contents by path; paths that end in .safetensors or .parquet are "large" */
  constructor(readonly name: string, readonly files: Map<string, Uint8Array<ArrayBuffer>>) {}

  readonly fetch = (input: string | URL | Request, init?: RequestInit): Promise<Response> =>
    Promise.try(async () => {
      const request = new Request(input, init);
      const { pathname } = new URL(request.url);
      const path = decodeURIComponent(pathname);
      this.requests.push(`${path} ${request.headers.get("range") ?? ""}`.trim());
      if (!this.online) throw new TypeError("no network");
      const token = request.headers.get("authorization");
      const isStorage = path.startsWith("/storage/");
      const writes = request.method !== "GET" && request.method !== "HEAD" && !isStorage;
      if ((this.needsToken || writes) && !isStorage && token !== `Bearer ${FAKE_TOKEN}`) {
        return new Response("", { status: 401 });
      }
      if (path.includes("/commit/") && this.failingCommits-- > 0) {
        return new Response("", { status: 500 });
      }
      const written = await this.commits.answer(request, this.name);
      if (written !== null) return written;
      const api = /^\/api\/(?:models|datasets)\/([^/]+\/[^/]+)\/(revision|tree)\/(.+)$/.exec(path);
      if (api?.[1] === this.name) {
        const [, , kind, revision] = api;
        const commit = ["main", "refs/convert/parquet"].includes(revision) ? this.commit : revision;
        const files = this.#filesAt(commit);
        if (files === undefined) return new Response("", { status: 404 });
        if (kind === "revision") return Response.json({ sha: commit, id: this.name });
        return this.#listing(request.url, files);
      }
      const file = /^\/(?:datasets\/)?([^/]+\/[^/]+)\/resolve\/([0-9a-f]{40})\/(.+)$/.exec(path);
      const content = file?.[1] === this.name ? this.#filesAt(file[2])?.get(file[3]) : undefined;
      if (content === undefined) return new Response("", { status: 404 });
      return this.#content(
        this.damaged.has(file![3]) ? content.map((b) => b ^ 1) : content,
        request,
      );
    });

  #filesAt(commit: string): ReadonlyMap<string, Uint8Array<ArrayBuffer>> | undefined {
    return commit === this.commit ? this.files : this.#history.get(commit);
  }

  /** Two pages, to see that the second is asked for. */
  #listing(url: string, files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): Response {
    const all = [...files].map(([path, content]) => ({
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
