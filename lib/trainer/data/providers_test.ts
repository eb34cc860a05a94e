import assert from "node:assert/strict";
import fc from "fast-check";
import type { HttpLocation, Shuffle } from "../../protocol/coordinator_state.ts";
import { seededOrder } from "../../protocol/rand_shuffle.ts";
import { concurrently } from "./concurrently.ts";
import { createProvider } from "./create_provider.ts";
import type { Samples } from "./data_provider.ts";
import { listRemoteFiles, numberedUrls } from "./http_location.ts";
import { type HttpDataLocation, httpProvider } from "./http_provider.ts";
import { localProvider } from "./local_provider.ts";
import { withRetries } from "./retries.ts";
import { sequenceIndex } from "./sequence_index.ts";
import { tokenFile, withServer } from "./test_server.ts";
import { PsycheError } from "../../error.ts";

const unshuffled: Shuffle = { kind: "DontShuffle" };
const seeded: Shuffle = {
  kind: "Seeded",
  seed: Uint8Array.from({ length: 32 }, (_, i) => i + 1),
};
const quick = { fetch, pause: () => 0 };
const unavailable = { code: "DATA_UNAVAILABLE" };

function http(location: HttpLocation, shuffle = unshuffled): HttpDataLocation {
  return { kind: "Http", location, tokenSizeInBytes: "TwoBytes", shuffle };
}
const single = (url: string, shuffle?: Shuffle) => http({ kind: "SingleUrl", url }, shuffle);
const rows = ({ tokens }: Samples, length: number) =>
  Array.from({ length: tokens.length / length }, (_, i) => tokens[i * length]);

Deno.test("sequences: a file that is an exact multiple loses its last one", () => {
  const count = (size: number, tail: number) =>
    sequenceIndex([size, 10 ** 6], 4096, tail, unshuffled).sequences -
    sequenceIndex([10 ** 6], 4096, tail, unshuffled).sequences;
  assert.equal(count(12288, 4096), 2);
  assert.equal(count(12289, 4096), 3);
  assert.equal(count(100, 4096), 0);
  // Over HTTP there must be room for one more token.
  assert.equal(count(12289, 4098), 2);
  assert.equal(count(12290, 4098), 2);
  assert.equal(count(12291, 4098), 3);
  assert.throws(() => sequenceIndex([4096], 4096, 4096, unshuffled), unavailable);
});

Deno.test("every index has its own place, files in order, then shuffled as a whole", () => {
  fc.assert(fc.property(
    fc.array(fc.nat(500), { minLength: 1 }),
    fc.integer({ min: 1, max: 40 }),
    fc.boolean(),
    (sizes, bytes, shuffled) => {
      const places = sizes.flatMap((size, file) => {
        const offsets = [];
        for (let offset = 0; offset < size - bytes; offset += bytes) offsets.push({ file, offset });
        return offsets;
      });
      fc.pre(places.length > 0);
      const index = sequenceIndex(sizes, bytes, bytes, shuffled ? seeded : unshuffled);
      const order = shuffled ? seededOrder(places.length, seeded.seed) : places.map((_, i) => i);
      assert.equal(index.sequences, places.length);
      order.forEach((place, i) => assert.deepEqual(index.locate(i), places[place]));
    },
  ));
});

Deno.test("local files are read in name order and only by their extensions", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${directory}/b.bin`, tokenFile(100, 9));
    await Deno.writeFile(`${directory}/a.npy`, tokenFile(0, 9));
    await Deno.writeFile(`${directory}/c.ds`, tokenFile(200, 9));
    await Deno.writeTextFile(`${directory}/notes.txt`, "not tokens");
    await Deno.mkdir(`${directory}/d.bin`);
    const format = { sequenceLength: 4, tokenBytes: 2 } as const;
    const provider = await localProvider(directory, format);
    assert.equal(provider.sequences, 6);
    const samples = await provider.read({ start: 1n, end: 4n });
    assert.deepEqual(rows(samples, 4), [4, 100, 104, 200]);
    assert.deepEqual([...samples.tokens.subarray(0, 4)], [4, 5, 6, 7]);

    for (const [start, end] of [[0n, 6n], [3n, 2n], [-1n, 0n], [0n, 2n ** 63n]]) {
      await assert.rejects(provider.read({ start, end }), { code: "DATA_BATCH_INVALID" });
    }
    const bounded = await localProvider(directory, { ...format, maxToken: 150 });
    await bounded.read({ start: 0n, end: 3n });
    await assert.rejects(bounded.read({ start: 0n, end: 4n }), { code: "TOKEN_OUT_OF_RANGE" });

    const words = new Uint8Array(Uint32Array.from([1, 70000, 2 ** 31, 0, 0]).buffer);
    await Deno.writeFile(`${directory}/four`, words);
    const four = await localProvider(`${directory}/four`, { sequenceLength: 2, tokenBytes: 4 });
    assert.deepEqual(rows(await four.read({ start: 0n, end: 0n }), 1), [1, 70000]);
    await assert.rejects(four.read({ start: 1n, end: 1n }), { code: "TOKEN_OUT_OF_RANGE" });

    await Deno.remove(`${directory}/b.bin`);
    await assert.rejects(provider.read({ start: 2n, end: 2n }), unavailable);
    await assert.rejects(localProvider(`${directory}/none`, format), unavailable);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("adjacent sequences take one range request, shuffled ones several", () =>
  withServer({ "/t.bin": tokenFile(0, 45) }, async ({ origin, log }) => {
    const format = { sequenceLength: 4 };
    const plain = await createProvider(single(`${origin}/t.bin`), 4, quick);
    assert.equal(plain.sequences, 10);
    assert.deepEqual(rows(await plain.read({ start: 2n, end: 5n }), 4), [8, 12, 16, 20]);
    assert.deepEqual(log, ["HEAD /t.bin", "GET /t.bin bytes=16-47"]);

    log.length = 0;
    const shuffled = await httpProvider(single(`${origin}/t.bin`, seeded), format, quick);
    const order = [3, 1, 2, 6, 7, 9, 8, 4, 5, 0];
    const samples = await shuffled.read({ start: 0n, end: 9n });
    assert.deepEqual(rows(samples, 4), order.map((i) => i * 4));
    // 1-2, 6-7 and 4-5 are neighbours.
    assert.equal(log.length, 1 + 7);
  }));

Deno.test("numbered files are padded and concatenated in order", () =>
  withServer(
    { "/f009.bin": tokenFile(0, 10), "/f010.bin": tokenFile(100, 10) },
    async ({ origin }) => {
      const location = {
        kind: "NumberedFiles",
        urlTemplate: `${origin}/f{}.bin`,
        startIndex: 9,
        nLeftPadZeros: 3,
        numFiles: 2,
      } as const;
      const provider = await httpProvider(http(location), { sequenceLength: 4 }, quick);
      assert.deepEqual(rows(await provider.read({ start: 0n, end: 3n }), 4), [0, 4, 100, 104]);
      const invalid = { code: "DATA_LOCATION_INVALID" };
      for (const urlTemplate of ["http://h/f", "http://h/{}{}"]) {
        assert.throws(() => numberedUrls({ ...location, urlTemplate }), invalid);
      }
      assert.throws(() => numberedUrls({ ...location, numFiles: 2 ** 31 }), invalid);
      await assert.rejects(createProvider(single("file:///etc/passwd"), 4, quick), invalid);
    },
  ));

Deno.test("a bucket is listed page by page and sorted by URL", async () => {
  const asked: string[] = [];
  const object = (name: string) => ({ name, size: "18", mediaLink: `https://gcs.test/${name}` });
  const listing = (input: string | URL | Request) => {
    const url = new URL(String(input));
    asked.push(url.pathname + " " + url.searchParams.get("prefix"));
    const second = url.searchParams.get("pageToken") === "2";
    const items = second ? [object("d/a.bin")] : [object("d/b.npy"), object("d/readme.md")];
    return Promise.resolve(Response.json({ items, nextPageToken: second ? undefined : "2" }));
  };
  const location = { kind: "Gcp", bucketName: "bucket", filterDirectory: "d/" } as const;
  assert.deepEqual(await listRemoteFiles(location, { fetch: listing as typeof fetch }), [
    { url: "https://gcs.test/d/a.bin", size: 18 },
    { url: "https://gcs.test/d/b.npy", size: 18 },
  ]);
  assert.deepEqual(asked, ["/storage/v1/b/bucket/o d/", "/storage/v1/b/bucket/o d/"]);
  const empty = () => Promise.resolve(Response.json({}));
  await assert.rejects(
    listRemoteFiles(location, { fetch: empty as typeof fetch }),
    { code: "DATA_LOCATION_INVALID" },
  );
});

Deno.test("a bucket on a server: listed over two pages, then read by ranges", () => {
  const files = { "/m/a.bin": tokenFile(0, 13), "/m/b.bin": tokenFile(100, 13) };
  const listing = (request: Request) => {
    const { pathname, searchParams, origin } = new URL(request.url);
    if (pathname !== "/storage/v1/b/my%20bucket/o") return undefined;
    assert.equal(searchParams.get("prefix"), "d/");
    const second = searchParams.get("pageToken") === "2";
    const item = (name: string) => ({
      name: `d/${name}.bin`,
      size: "26",
      mediaLink: `${origin}/m/${name}.bin?generation=7&alt=media`,
    });
    return Response.json(
      second ? { items: [item("a")] } : { items: [item("b")], nextPageToken: "2" },
    );
  };
  return withServer(files, async ({ origin, log }) => {
    const location = { kind: "Gcp", bucketName: "my bucket", filterDirectory: "d/" } as const;
    const provider = await createProvider(http(location), 4, { ...quick, gcsUrl: origin });
    assert.equal(provider.sequences, 4);
    assert.deepEqual(rows(await provider.read({ start: 0n, end: 3n }), 4), [0, 4, 100, 104]);
    // Sizes came with the listing: no HEAD.
    assert.deepEqual(log.slice(2).sort(), [
      "GET /m/a.bin bytes=0-15",
      "GET /m/b.bin bytes=0-15",
    ]);
  }, listing);
});

Deno.test("failing requests are repeated, then reported", async () => {
  const files = { "/t.bin": tokenFile(0, 45) };
  const outage = (_: Request, nth: number) =>
    nth > 1 && nth < 9 ? new Response("busy", { status: 503 }) : undefined;
  await withServer(files, async ({ origin, log }) => {
    const provider = await createProvider(single(`${origin}/t.bin`), 4, quick);
    assert.deepEqual(rows(await provider.read({ start: 1n, end: 1n }), 4), [4]);
    assert.equal(log.length, 1 + 8);
  }, outage);
  await withServer(files, async ({ origin, log }) => {
    await assert.rejects(createProvider(single(`${origin}/none.bin`), 4, quick), unavailable);
    assert.equal(log.length, 8);
  });
});

Deno.test("answers of a wrong length are refused", async () => {
  const files = { "/t.bin": tokenFile(0, 45) };
  const answers = [
    (request: Request) => request.method === "GET" ? new Response(files["/t.bin"]) : undefined,
    (request: Request) => request.method === "GET" ? new Response(new Uint8Array(7)) : undefined,
    (request: Request) => request.method === "GET" ? new Response(null) : undefined,
  ];
  for (const answer of answers) {
    await withServer(files, async ({ origin }) => {
      const options = { fetch, retries: 0 };
      const provider = await createProvider(single(`${origin}/t.bin`), 4, options);
      await assert.rejects(provider.read({ start: 1n, end: 1n }), unavailable);
    }, answer);
  }
});

Deno.test("sizes must be stated as plain numbers", async () => {
  for (const length of [null, "", "-1", "1e3", "99999999999999999999"]) {
    const headers = length === null ? undefined : { "content-length": length };
    const head = () => Promise.resolve(new Response(null, { headers }));
    await assert.rejects(
      createProvider(single("http://test/t"), 4, { fetch: head as typeof fetch, retries: 0 }),
      unavailable,
    );
  }
});

Deno.test("a silent server runs into the time limit, an abort ends at once", async () => {
  // At the end all are answered, those that come late too: the server waits for them to end it.
  const over = Promise.withResolvers<void>();
  const silent = () => over.promise.then(() => new Response(null));
  await withServer({}, async ({ origin }) => {
    const options = { fetch, retries: 0, timeoutMs: 30 };
    await assert.rejects(createProvider(single(`${origin}/t`), 4, options), (error: Error) => {
      assert.match(error.message, /no answer in 30 ms/);
      return true;
    });
    const stop = new AbortController();
    const opened = createProvider(single(`${origin}/t`), 4, { ...quick, signal: stop.signal });
    setTimeout(() => stop.abort("stop"), 20);
    await assert.rejects(opened, (reason) => reason === "stop");
    over.resolve();
  }, silent);
});

Deno.test("retries wait 0, 2, 4 seconds and so on, and only for outages", async () => {
  const pauses: number[] = [];
  const options = {
    pause(retry: number) {
      pauses.push(retry);
      return 0;
    },
  };
  let calls = 0;
  const fail = (code: string) => () => {
    calls++;
    return Promise.reject(new PsycheError(code, "no"));
  };
  await assert.rejects(withRetries(fail("DATA_UNAVAILABLE"), options), unavailable);
  assert.equal(calls, 8);
  assert.deepEqual(pauses, [1, 2, 3, 4, 5, 6, 7]);
  calls = 0;
  const told: number[] = [];
  const listening = { ...options, onRetry: (_: Error, retry: number) => told.push(retry) };
  await assert.rejects(withRetries(fail("DATA_UNAVAILABLE"), listening), unavailable);
  // The last failure is the caller's to tell.
  assert.deepEqual(told, [1, 2, 3, 4, 5, 6, 7]);
  calls = 0;
  await assert.rejects(withRetries(fail("TOKEN_OUT_OF_RANGE"), options));
  assert.equal(calls, 1);

  const stop = new AbortController();
  const started = performance.now();
  const waiting = withRetries(fail("DATA_UNAVAILABLE"), { signal: stop.signal });
  setTimeout(() => stop.abort("stop"), 20);
  await assert.rejects(waiting, (reason) => reason === "stop");
  assert.ok(performance.now() - started < 1500);
});

Deno.test("concurrent work keeps its order and limit, and stops at the first failure", async () => {
  let running = 0;
  let most = 0;
  const results = await concurrently([5, 1, 4, 2, 3], 2, async (n) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, n));
    running--;
    return n * 2;
  });
  assert.deepEqual(results, [10, 2, 8, 4, 6]);
  assert.equal(most, 2);

  const seen: number[] = [];
  let aborted = false;
  const failing = concurrently([0, 1, 2, 3], 2, async (n, signal) => {
    seen.push(n);
    if (n === 1) throw new Error("one");
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    aborted = true;
  });
  await assert.rejects(failing, { message: "one" });
  assert.deepEqual([seen, aborted], [[0, 1], true]);
});

Deno.test("every kind of data location is opened or refused with a reason", async () => {
  const dummy = await createProvider({ kind: "Dummy" }, 6, quick);
  assert.deepEqual(
    (await dummy.read({ start: 10n ** 12n, end: 10n ** 12n + 1n })).tokens,
    new Int32Array(12),
  );
  await assert.rejects(dummy.read({ start: 0n, end: 2n ** 40n }), { code: "DATA_BATCH_INVALID" });
  const refused = [
    [{ kind: "Server", address: "h:1" }, /members of the run/],
    [{ kind: "Local", path: "/data" }, /data-server/],
  ] as const;
  for (const [location, message] of refused) {
    await assert.rejects(createProvider(location, 4, quick), {
      code: "DATA_LOCATION_UNSUPPORTED",
      message,
    });
  }
  await assert.rejects(createProvider({ kind: "Preprocessed", path: "no/such" }, 4, quick), {
    code: "DATA_UNAVAILABLE",
  });
});
