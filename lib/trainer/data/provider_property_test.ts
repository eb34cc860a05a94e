/** Whatever the data and the batch: the sequences are those of the files, in their order. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { seed } from "../../protocol/property_seed.ts";
import { seededOrder } from "../../protocol/rand_shuffle.ts";
import type { Samples } from "./data_provider.ts";
import { listRemoteFiles } from "./http_location.ts";
import { httpProvider } from "./http_provider.ts";
import { SampleTable } from "./sample_table.ts";
import { mixedProvider, mixtureOrder } from "./weighted_provider.ts";

const shuffleSeed = Uint8Array.from({ length: 32 }, (_, i) => 3 * i);
const batch = (first: number, last: number) => ({ start: BigInt(first), end: BigInt(last) });
const row = (
  { tokens }: Samples,
  index: number,
  length: number,
) => [...tokens.subarray(index * length, (index + 1) * length)];

/** A web of files behind `fetch`, without sockets. */
function filesBehindFetch(files: Map<string, Uint8Array<ArrayBuffer>>): typeof fetch {
  return (input, init) => {
    const request = new Request(input, init);
    const file = files.get(request.url);
    if (file === undefined) return Promise.resolve(new Response(null, { status: 404 }));
    if (request.method === "HEAD") {
      const headers = { "content-length": String(file.length) };
      return Promise.resolve(new Response(null, { headers }));
    }
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range")!)!;
    return Promise.resolve(
      new Response(file.slice(Number(first), Number(last) + 1), { status: 206 }),
    );
  };
}

Deno.test("sequences over HTTP, for every file size, token size, shuffle and interval", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(90), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom<2 | 4>(2, 4),
      fc.boolean(),
      fc.nat(),
      fc.nat(),
      async (counts, sequenceLength, tokenBytes, shuffled, a, b) => {
        let next = 0;
        const files = new Map<string, Uint8Array<ArrayBuffer>>();
        /** First token of every sequence there is, in file order. */
        const starts: number[] = [];
        for (const [i, count] of counts.entries()) {
          const tokens = Array.from({ length: count }, () => next++);
          const Kind = tokenBytes === 2 ? Uint16Array : Uint32Array;
          files.set(`http://files.test/${i}`, new Uint8Array(Kind.from(tokens).buffer));
          // Room for the sequence and strictly more than one token beyond it.
          for (let at = 0; at * tokenBytes < (count - sequenceLength - 1) * tokenBytes;) {
            starts.push(tokens[at]);
            at += sequenceLength;
          }
        }
        fc.pre(starts.length > 0);
        const provider = await httpProvider(
          {
            kind: "Http",
            location: {
              kind: "NumberedFiles",
              urlTemplate: "http://files.test/{}",
              startIndex: 0,
              nLeftPadZeros: 0,
              numFiles: counts.length,
            },
            tokenSizeInBytes: tokenBytes === 2 ? "TwoBytes" : "FourBytes",
            shuffle: shuffled ? { kind: "Seeded", seed: shuffleSeed } : { kind: "DontShuffle" },
          },
          { sequenceLength },
          { fetch: filesBehindFetch(files), retries: 0 },
        );
        assert.equal(provider.sequences, starts.length);
        const order = shuffled ? seededOrder(starts.length, shuffleSeed) : starts.map((_, i) => i);
        const first = a % starts.length;
        const last = first + b % (starts.length - first);
        const samples = await provider.read(batch(first, last));
        assert.equal(samples.tokens.length, (last - first + 1) * sequenceLength);
        for (let i = first; i <= last; i++) {
          const start = starts[order[i]];
          assert.deepEqual(
            row(samples, i - first, sequenceLength),
            Array.from({ length: sequenceLength }, (_, k) => start + k),
          );
        }
        await assert.rejects(provider.read(batch(first, starts.length)), {
          code: "DATA_BATCH_INVALID",
        });
      },
    ),
    { seed: seed(), numRuns: 150 },
  );
});

Deno.test("a mixture reads like its sources one by one", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(12), { minLength: 1, maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 5, maxLength: 5 }),
      fc.boolean(),
      fc.nat(),
      fc.nat(),
      async (sizes, weights, shuffled, a, b) => {
        const total = sizes.reduce((sum, size) => sum + size, 0);
        fc.pre(total > 0);
        const shuffle = shuffled
          ? { kind: "Seeded", seed: shuffleSeed } as const
          : { kind: "DontShuffle" } as const;
        // Source 3, sequence 7 holds 307, 307.
        const sources = sizes.map((sequences, source) => ({
          sequences,
          sequenceLength: 2,
          read({ start, end }: { start: bigint; end: bigint }) {
            assert.ok(start <= end && end < BigInt(sequences));
            const count = Number(end - start) + 1;
            const value = (i: number) => 100 * source + Number(start) + (i >> 1);
            return Promise.resolve({
              tokens: Int32Array.from({ length: 2 * count }, (_, i) => value(i)),
            });
          },
        }));
        const used = weights.slice(0, sizes.length);
        const mixture = mixedProvider(sources, { weights: used, shuffle }, 2);
        const order = mixtureOrder(sizes, used, shuffle);
        assert.equal(mixture.sequences, total);
        const first = a % total;
        const last = first + b % (total - first);
        const samples = await mixture.read(batch(first, last));
        for (let i = first; i <= last; i++) {
          const value = 100 * order.providers[i] + order.samples[i];
          assert.deepEqual(row(samples, i - first, 2), [value, value]);
        }
      },
    ),
    { seed: seed(), numRuns: 150 },
  );
});

Deno.test("samples in memory begin again after the last, with all that belongs to them", () => {
  const length = 4;
  const cell = fc.integer({ min: 0, max: 9 });
  const list = fc.array(cell, { minLength: length, maxLength: length });
  const sample = fc.record({
    tokens: list,
    labels: fc.option(list),
    positions: fc.option(list),
    lengths: fc.option(fc.constantFrom<number[]>([4], [1, 3], [2, 1, 1])),
  });
  fc.assert(
    fc.property(
      fc.array(sample, { minLength: 1, maxLength: 7 }),
      fc.bigInt({ min: 0n, max: 2n ** 60n }),
      fc.integer({ min: 1, max: 20 }),
      (rows, start, count) => {
        const table = new SampleTable(rows.length, length);
        for (const [i, { tokens, labels, positions, lengths }] of rows.entries()) {
          table.setTokens(i, Int32Array.from(tokens));
          if (labels) table.setLabels(i, Int32Array.from(labels));
          if (positions) table.setPositions(i, Int32Array.from(positions));
          if (lengths) table.setLengths(i, lengths);
        }
        const read = table.batch(start, count);
        const counting = [0, 1, 2, 3];
        const expected = Array.from(
          { length: count },
          (_, i) => rows[Number((start + BigInt(i)) % BigInt(rows.length))],
        );
        assert.deepEqual([...read.tokens], expected.flatMap(({ tokens }) => tokens));
        assert.deepEqual(
          [...read.labels ?? read.tokens],
          expected.flatMap(({ tokens, labels }) => labels ?? tokens),
        );
        assert.deepEqual(
          read.positionIds ? [...read.positionIds] : expected.flatMap(() => counting),
          expected.flatMap(({ positions }) => positions ?? counting),
        );
        assert.deepEqual(
          read.sequenceLengths ?? expected.map(() => [length]),
          expected.map(({ lengths }) => lengths ?? [length]),
        );
        const plain = rows.every(({ tokens, labels }) => !labels || `${labels}` === `${tokens}`);
        assert.equal(read.labels === undefined, plain);
      },
    ),
    { seed: seed() },
  );
});

Deno.test("a bucket's files are all found, however they are paged, and sorted", async () => {
  const name = fc.tuple(
    fc.string({ minLength: 1, maxLength: 6 }),
    fc.constantFrom(".bin", ".npy", ".ds", ".txt", ".bin.gz", ""),
  ).map(([stem, extension]) => `d/${stem}${extension}`);
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(name, { maxLength: 30 }),
      fc.integer({ min: 1, max: 10 }),
      async (names, pageSize) => {
        const link = (name: string) => `https://gcs.test/${encodeURIComponent(name)}`;
        const listing = ((input: string) => {
          const from = Number(new URL(input).searchParams.get("pageToken") ?? 0);
          const items = names.slice(from, from + pageSize)
            .map((name) => ({ name, size: String(name.length), mediaLink: link(name) }));
          const more = from + pageSize < names.length;
          return Promise.resolve(Response.json({
            // As the service does for a page without objects.
            ...(items.length > 0 ? { items } : {}),
            ...(more ? { nextPageToken: String(from + pageSize) } : {}),
          }));
        }) as typeof fetch;
        const wanted = names.filter((name) => /\.(bin|npy|ds)$/.test(name));
        const found = listRemoteFiles(
          { kind: "Gcp", bucketName: "b", filterDirectory: "d/" },
          { fetch: listing },
        );
        if (wanted.length === 0) {
          return await assert.rejects(found, { code: "DATA_LOCATION_INVALID" });
        }
        assert.deepEqual(
          await found,
          wanted.map((name) => ({ url: link(name), size: name.length }))
            .sort((a, b) => a.url < b.url ? -1 : 1),
        );
      },
    ),
    { seed: seed() },
  );
});

Deno.test("a listing that is none, or never ends, is refused", async () => {
  const object = { name: "a.bin", size: "5", mediaLink: "https://gcs.test/a.bin" };
  const pages: unknown[] = [
    null,
    3,
    { items: 3 },
    { items: {} },
    { items: [null] },
    { items: [object], nextPageToken: 5 },
    { items: [], nextPageToken: "again" },
    { items: [{ ...object, mediaLink: undefined }] },
    { items: [{ ...object, mediaLink: "file:///etc/passwd" }] },
    ...[undefined, null, "", "-1", "1e3", "9".repeat(20), {}].map((size) => ({
      items: [{ ...object, size }],
    })),
  ];
  for (const page of pages) {
    await assert.rejects(
      listRemoteFiles(
        { kind: "Gcp", bucketName: "b", filterDirectory: "" },
        { fetch: (() => Promise.resolve(Response.json(page))) as unknown as typeof fetch },
      ),
      { code: "DATA_LOCATION_INVALID" },
      JSON.stringify(page),
    );
  }
});
