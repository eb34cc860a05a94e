/**
 * The writing side of the in-memory Hub: what a client asks before an upload (preupload), large files
 * by the Git LFS protocol, then the commit as lines of JSON. Anything that a real Hub would refuse is
 * refused. For tests.
 */
import { createHash } from "node:crypto";

type Bytes = Uint8Array<ArrayBuffer>;
interface LfsObject {
  oid: string;
  size: number;
}

export class FakeCommits {
  /** Large objects by SHA-256; those without content were announced only. */
  readonly #objects = new Map<string, Bytes | null>();
  /** What `preupload` said of each path. */
  readonly #modes = new Map<string, string>();
  /** Messages of the commits, oldest first. */
  readonly messages: string[] = [];

  /** @param store takes new contents by path, null for a removed file; returns the commit */
  constructor(readonly store: (changes: Map<string, Bytes | null>) => string) {}

  /** The answer to a writing request for the repository `name`, or null for another request. */
  async answer(request: Request, name: string): Promise<Response | null> {
    const { pathname, origin } = new URL(request.url);
    const path = decodeURIComponent(pathname);
    if (request.method === "POST" && path === `/api/models/${name}/preupload/main`) {
      return await this.#preupload(request);
    }
    if (request.method === "POST" && path === `/${name}.git/info/lfs/objects/batch`) {
      return await this.#batch(request, origin);
    }
    if (request.method === "PUT" && path.startsWith("/storage/")) {
      return await this.#put(request, path.slice("/storage/".length));
    }
    if (request.method === "POST" && path === `/api/models/${name}/commit/main`) {
      return await this.#commit(request);
    }
    return null;
  }

  async #preupload(request: Request): Promise<Response> {
    const { files } = await request.json();
    for (const { path, size, sample } of files) {
      const begin = Uint8Array.fromBase64(sample);
      if (begin.length !== Math.min(512, size)) return refuse(`sample of ${path}`);
      this.#modes.set(path, /\.safetensors$/.test(path) ? "lfs" : "regular");
    }
    return Response.json({
      files: files.map(({ path }: { path: string }) => ({
        path,
        uploadMode: this.#modes.get(path),
        shouldIgnore: false,
      })),
    });
  }

  async #batch(request: Request, origin: string): Promise<Response> {
    const lfs = "application/vnd.git-lfs+json";
    if (request.headers.get("accept") !== lfs || request.headers.get("content-type") !== lfs) {
      return refuse("LFS content type", 415);
    }
    const { operation, transfers, hash_algo, ref, objects } = await request.json();
    if (operation !== "upload" || hash_algo !== "sha_256" || ref?.name !== "main") {
      return refuse("LFS batch request");
    }
    if (!transfers.includes("basic")) return refuse("LFS transfer");
    return Response.json({
      transfer: "basic",
      objects: objects.map(({ oid, size }: LfsObject) => {
        if (this.#objects.get(oid)) return { oid, size };
        this.#objects.set(oid, null);
        const upload = { href: `${origin}/storage/${oid}?signature=secret`, header: {} };
        return { oid, size, authenticated: true, actions: { upload } };
      }),
    });
  }

  async #put(request: Request, oid: string): Promise<Response> {
    // The address is signed; the Hub's token has no business at the storage.
    if (request.headers.has("authorization")) return refuse("token sent to the storage");
    const content = await request.bytes();
    if (this.#objects.get(oid) !== null || sha256(content) !== oid) return refuse(`object ${oid}`);
    this.#objects.set(oid, content);
    return new Response(null, { status: 200, headers: { etag: `"${oid}"` } });
  }

  async #commit(request: Request): Promise<Response> {
    if (request.headers.get("content-type") !== "application/x-ndjson") {
      return refuse("commit content type", 415);
    }
    const [header, ...operations] = (await request.text()).split("\n").map((l) => JSON.parse(l));
    if (header?.key !== "header" || !header.value.summary) return refuse("commit header");
    const changes = new Map<string, Bytes | null>();
    for (const { key, value } of operations) {
      const { path, content, encoding, algo, size, oid } = value;
      const mode = this.#modes.get(path);
      if (key === "file" && mode === "regular" && encoding === "base64") {
        changes.set(path, Uint8Array.fromBase64(content));
      } else if (key === "lfsFile" && mode === "lfs" && algo === "sha256") {
        const object = this.#objects.get(oid);
        if (!object || object.length !== size) return refuse(`${path} is not uploaded`);
        changes.set(path, object);
      } else if (key === "deletedFile") changes.set(path, null);
      else return refuse(`operation ${key} of ${path}`);
    }
    this.messages.push(header.value.summary);
    const commitOid = this.store(changes);
    return Response.json({ success: true, commitOid, commitUrl: "", hookOutput: "" });
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function refuse(what: string, status = 400): Response {
  return Response.json({ error: `refused: ${what}` }, { status });
}
