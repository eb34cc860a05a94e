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
  /** Larger objects are asked for in parts of this size. */
  partBytes = Infinity;
  /** Parts of objects, by the object's SHA-256. */
  readonly #parts = new Map<string, Bytes[]>();
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
    const [, oid, part] = /^\/storage\/(\w+)(?:\/(\d+))?$/.exec(path) ?? [];
    if (oid !== undefined && request.method === "PUT") {
      return await (part === undefined
        ? this.#put(request, oid)
        : this.#putPart(request, oid, Number(part)));
    }
    if (oid !== undefined && request.method === "POST") return await this.#complete(request, oid);
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
        const href = `${origin}/storage/${oid}`;
        const count = size > this.partBytes ? Math.ceil(size / this.partBytes) : 0;
        const header: Record<string, string> = {};
        if (count > 0) header.chunk_size = String(this.partBytes);
        for (let part = 1; part <= count; part++) {
          header[String(part).padStart(5, "0")] = `${href}/${part}?signature=secret`;
        }
        const upload = { href: `${href}?signature=secret`, header };
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

  async #putPart(request: Request, oid: string, part: number): Promise<Response> {
    if (request.headers.has("authorization")) return refuse("token sent to the storage");
    const content = await request.bytes();
    if (content.length > this.partBytes) return refuse(`part ${part} of ${oid}`);
    const parts = this.#parts.get(oid) ?? [];
    this.#parts.set(oid, parts);
    parts[part - 1] = content;
    return new Response(null, { status: 200, headers: { etag: `"${sha256(content)}"` } });
  }

  /** All parts of an object are there: named by number and content. */
  async #complete(request: Request, oid: string): Promise<Response> {
    const asked = await request.json();
    const parts = this.#parts.get(oid) ?? [];
    const named = parts.map((part, i) => ({ partNumber: i + 1, etag: `"${sha256(part)}"` }));
    const content = new Uint8Array(await new Blob(parts).arrayBuffer());
    const isComplete = asked.oid === oid && JSON.stringify(asked.parts) === JSON.stringify(named);
    if (!isComplete || sha256(content) !== oid) return refuse(`parts of ${oid}`);
    this.#objects.set(oid, content);
    return Response.json({});
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
