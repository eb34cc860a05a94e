/** A bucket of Google Cloud Storage in memory, behind `fetch` or a server. For tests. */

export const FAKE_GCS_TOKEN = "ya29.secret";

interface Stored {
  content: Uint8Array<ArrayBuffer>;
  generation: number;
}

export class FakeGcs {
  /** Requests as `METHOD path?query [range]`. */
  readonly requests: string[] = [];
  readonly objects = new Map<string, Stored>();
  /** Reading needs the token too. */
  needsToken = false;
  permissions = ["storage.objects.create", "storage.objects.delete"];
  /** Answers so many of the next requests with status 503. */
  failing = 0;
  /** Cuts the body of the next downloads of weights after so many bytes. */
  cutAfter: number[] = [];
  #generation = 1_700_000_000_000_000;

  constructor(readonly bucket: string) {}

  put(name: string, content: Uint8Array<ArrayBuffer>): number {
    this.objects.set(name, { content, generation: ++this.#generation });
    return this.#generation;
  }

  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const { pathname, search, searchParams: query } = new URL(request.url);
    const range = request.headers.get("range") ?? "";
    this.requests.push(`${request.method} ${pathname}${search} ${range}`.trim());
    if (this.failing-- > 0) return this.#status(503, request);
    const trusted = request.headers.get("authorization") === `Bearer ${FAKE_GCS_TOKEN}`;
    if (!trusted && (this.needsToken || request.method !== "GET")) {
      return this.#status(401, request);
    }
    const place = `/storage/v1/b/${this.bucket}`;
    if (request.method === "POST" && pathname === `/upload${place}/o`) {
      if (query.get("uploadType") !== "media") return this.#status(400, request);
      const content = await request.bytes();
      const name = query.get("name")!;
      const generation = this.put(name, content);
      return Response.json({ name, generation: `${generation}`, size: `${content.length}` });
    }
    if (pathname === `${place}/iam/testPermissions`) {
      const asked = query.getAll("permissions");
      return Response.json({ permissions: asked.filter((p) => this.permissions.includes(p)) });
    }
    if (pathname === `${place}/o`) return this.#list(query);
    const name = pathname.startsWith(`${place}/o/`)
      ? decodeURIComponent(pathname.slice(place.length + 3))
      : "";
    const stored = this.objects.get(name);
    const generation = query.get("generation");
    if (
      stored === undefined || query.get("alt") !== "media" ||
      (generation !== null && generation !== `${stored.generation}`)
    ) return this.#status(404, request);
    return this.#content(stored, range, name.endsWith(".safetensors"));
  };

  async #status(status: number, request: Request): Promise<Response> {
    await request.body?.cancel();
    return Response.json({ error: { code: status } }, { status });
  }

  /** Pages of two, to see that the next is asked for. */
  #list(query: URLSearchParams): Response {
    const prefix = query.get("prefix") ?? "";
    const all = [...this.objects].filter(([name]) =>
      name.startsWith(prefix) && !name.slice(prefix.length).includes("/")
    ).sort();
    const from = Number(query.get("pageToken") ?? 0);
    const items = all.slice(from, from + 2).map(([name, { content, generation }]) => ({
      name,
      size: `${content.length}`,
      generation: `${generation}`,
    }));
    const more = from + 2 < all.length ? { nextPageToken: `${from + 2}` } : {};
    return Response.json({ ...(items.length > 0 ? { items } : {}), ...more });
  }

  #content({ content, generation }: Stored, range: string, isWeights: boolean): Response {
    const from = Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? 0);
    const rest = content.subarray(from);
    const cut = isWeights ? this.cutAfter.shift() : undefined;
    const body = cut === undefined ? rest : new ReadableStream({
      start: (controller) => controller.enqueue(rest.subarray(0, cut)),
      pull: (controller) => controller.error(new Error("connection reset")),
    });
    return new Response(body, {
      status: from > 0 ? 206 : 200,
      headers: { "x-goog-generation": `${generation}` },
    });
  }
}
