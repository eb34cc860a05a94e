import assert from "node:assert/strict";
import { createProvider } from "./create_provider.ts";
import { tokenFile, withServer } from "./test_server.ts";
import { mixtureOrder, parseMixture } from "./weighted_provider.ts";

const unshuffled = { kind: "DontShuffle" } as const;
const seed = Array.from({ length: 32 }, (_, i) => i);
const source = (url: string) => ({
  location: { SingleUrl: url },
  token_size_in_bytes: "TwoBytes",
  shuffle: "DontShuffle",
});

Deno.test("each place goes to the provider that is furthest behind its weight", () => {
  const { providers, samples } = mixtureOrder([4, 2], [1, 1], unshuffled);
  // Worked by hand: lag_i = w_i * max(k, 1) - drawn_i, the first one on ties.
  assert.deepEqual([...providers], [0, 1, 0, 1, 0, 1]);
  assert.deepEqual([...samples], [0, 0, 1, 1, 2, 0]);
  const weighted = mixtureOrder([3, 3, 0], [3, 1, 5], unshuffled);
  assert.ok(!weighted.providers.includes(2));
});

Deno.test("a shuffled mixture holds the same pairs in another order", () => {
  const pairs = ({ providers, samples }: ReturnType<typeof mixtureOrder>) =>
    [...providers].map((provider, i) => `${provider}/${samples[i]}`);
  const plain = pairs(mixtureOrder([50, 30], [50, 30], unshuffled));
  const seeded = { kind: "Seeded", seed: Uint8Array.from(seed) } as const;
  const shuffled = pairs(mixtureOrder([50, 30], [50, 30], seeded));
  assert.notDeepEqual(shuffled, plain);
  assert.deepEqual(shuffled.sort(), plain.sort());
});

Deno.test("a mixture is loaded from its URL and read across providers", () => {
  const files: Record<string, Uint8Array<ArrayBuffer>> = {
    "/a.bin": tokenFile(0, 13),
    "/b.bin": tokenFile(100, 13),
  };
  return withServer(files, async ({ origin }) => {
    const document = {
      shuffle: "DontShuffle",
      providers: [[source(`${origin}/a.bin`), 1], [source(`${origin}/b.bin`), 1]],
    };
    files["/mixture.json"] = new TextEncoder().encode(JSON.stringify(document));
    const url = `${origin}/mixture.json`;
    const options = { fetch, retries: 0 };
    const provider = await createProvider({ kind: "WeightedHttp", url }, 4, options);
    assert.equal(provider.sequences, 4);
    const { tokens } = await provider.read({ start: 0n, end: 3n });
    assert.deepEqual([0, 1, 2, 3].map((row) => tokens[row * 4]), [0, 100, 4, 104]);
    await assert.rejects(provider.read({ start: 4n, end: 4n }), { code: "DATA_BATCH_INVALID" });
  });
});

Deno.test("a mixture outlasts failures of document, sizes and ranges, and tells the last", () => {
  const files: Record<string, Uint8Array<ArrayBuffer>> = { "/a.bin": tokenFile(0, 13) };
  // Every path fails at its first request, whatever the method.
  const failed = new Set<string>();
  const failFirst = (request: Request) => {
    const key = `${request.method} ${new URL(request.url).pathname}`;
    if (failed.has(key)) return undefined;
    failed.add(key);
    return new Response(null, { status: 500 });
  };
  return withServer(files, async ({ origin }) => {
    const document = { shuffle: "DontShuffle", providers: [source(`${origin}/a.bin`)] };
    files["/mixture.json"] = new TextEncoder().encode(JSON.stringify(document));
    const retries: string[] = [];
    const options = {
      fetch,
      pause: () => 0,
      onRetry: (error: Error) => retries.push(error.message),
    };
    const url = `${origin}/mixture.json`;
    const provider = await createProvider({ kind: "WeightedHttp", url }, 4, options);
    assert.deepEqual([...(await provider.read({ start: 1n, end: 1n })).tokens], [4, 5, 6, 7]);
    assert.deepEqual([...failed], ["GET /mixture.json", "HEAD /a.bin", "GET /a.bin"]);
    assert.ok(retries.length === 3 && retries.every((message) => /status 500/.test(message)));
    delete files["/a.bin"];
    await assert.rejects(provider.read({ start: 1n, end: 1n }), {
      code: "DATA_UNAVAILABLE",
      message: /a\.bin cannot be read: status 404/,
    });
  }, failFirst);
});

Deno.test("documents are decoded in both forms, broken ones refused", () => {
  const numbered = {
    url_template: "http://h/{}",
    start_index: 1,
    n_left_pad_zeros: 2,
    num_files: 3,
  };
  const plain = parseMixture({
    shuffle: { Seeded: seed },
    providers: [
      { ...source("http://h/a"), token_size_in_bytes: "FourBytes" },
      { ...source(""), location: { NumberedFiles: numbered } },
      { ...source(""), location: { Gcp: { bucket_name: "b", filter_directory: "" } } },
    ],
  });
  assert.equal(plain.weights, null);
  assert.deepEqual(plain.shuffle, { kind: "Seeded", seed: Uint8Array.from(seed) });
  assert.deepEqual(plain.sources.map(({ location }) => location), [
    { kind: "SingleUrl", url: "http://h/a" },
    {
      kind: "NumberedFiles",
      urlTemplate: "http://h/{}",
      startIndex: 1,
      nLeftPadZeros: 2,
      numFiles: 3,
    },
    { kind: "Gcp", bucketName: "b", filterDirectory: "" },
  ]);
  const good = source("http://h/a");
  const broken = [
    null,
    [],
    { shuffle: "DontShuffle" },
    { shuffle: "DontShuffle", providers: [] },
    { shuffle: "Other", providers: [good] },
    { shuffle: { Seeded: seed.slice(1) }, providers: [good] },
    { shuffle: { Seeded: seed.with(0, 256) }, providers: [good] },
    { shuffle: "DontShuffle", providers: [[good, -1]] },
    { shuffle: "DontShuffle", providers: [[good, 0]] },
    { shuffle: "DontShuffle", providers: [[good, "1"]] },
    { shuffle: "DontShuffle", providers: [[good, 1], good] },
    { shuffle: "DontShuffle", providers: [{ ...good, token_size_in_bytes: 2 }] },
    { shuffle: "DontShuffle", providers: [{ ...good, location: { Ftp: "x" } }] },
    { shuffle: "DontShuffle", providers: [{ ...good, location: { Gcp: { bucket_name: 1 } } }] },
    {
      shuffle: "DontShuffle",
      providers: [{ ...good, location: { NumberedFiles: { ...numbered, num_files: -1 } } }],
    },
  ];
  for (const document of broken) {
    assert.throws(() => parseMixture(document), { code: "DATA_LOCATION_INVALID" });
  }
});
