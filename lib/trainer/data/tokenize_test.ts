import assert from "node:assert/strict";
import fc from "fast-check";
import { bpeTokenizerJson, END_OF_TEXT_ID } from "../tokenizer/bpe_model.ts";
import { loadTokenizer } from "../tokenizer/tokenizer.ts";
import { trainBpe } from "../tokenizer/train_bpe.ts";
import { jsonLineDocuments, plainDocument, type TextPart } from "./text_documents.ts";
import { sourceBytes } from "./text_sources.ts";
import { separatorId, tokenizeDocuments } from "./tokenize.ts";

const tokenizer = loadTokenizer(
  bpeTokenizerJson(trainBpe("the cat sat on the mat. ".repeat(9), 280)),
);
const encoder = new TextEncoder();

/** Bytes in pieces that cut characters and lines anywhere. */
async function* pieces(text: string, size: number) {
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

async function collect(parts: AsyncIterable<TextPart>): Promise<TextPart[]> {
  const all = [];
  for await (const part of parts) all.push(part);
  return all;
}

async function withFile(use: (path: string) => Promise<void>) {
  const directory = await Deno.makeTempDir();
  try {
    await use(`${directory}/out.bin`);
    assert.ok([...Deno.readDirSync(directory)].every(({ name }) => name === "out.bin"));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("a long text is cut where no token spans the cut", async () => {
  const text = Array.from({ length: 4_000 }, (_, i) => `line ${i}: the cat\n${i % 5 ? "" : "\n"}`)
    .join("");
  const parts = await collect(plainDocument(pieces(text, 9_000), "x"));
  assert.ok(parts.length > 1, `${parts.length} parts`);
  assert.equal(parts.map((part) => part.text).join(""), text);
  assert.deepEqual(parts.map((part) => part.end), parts.map((_, i) => i === parts.length - 1));
  assert.deepEqual(parts.flatMap((part) => tokenizer.encode(part.text)), tokenizer.encode(text));
});

Deno.test("JSON lines give a document each, however the bytes come", async () => {
  const seed = Date.now() & 0x7fffffff;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: "grapheme" }).filter((text) => text.isWellFormed())),
      fc.integer({ min: 1, max: 9 }),
      async (texts, size) => {
        const lines = texts.map((text) => JSON.stringify({ id: 1, body: text })).join("\n\n");
        const parts = await collect(jsonLineDocuments(pieces(lines, size), "x", "body"));
        assert.deepEqual(parts.map((part) => part.text), texts);
      },
    ),
    { seed, numRuns: 60 },
  ).catch((error) => {
    console.log(`seed ${seed}`);
    throw error;
  });
});

Deno.test("tokens are written with a separator after every document", () =>
  withFile(async (path) => {
    const texts = ["the cat", "", "sat"];
    const lines = texts.map((text) => JSON.stringify({ text })).join("\n");
    const expected = texts.flatMap((text) => [...tokenizer.encode(text), END_OF_TEXT_ID]);
    for (const tokenBytes of [2, 4] as const) {
      const separator = separatorId(tokenizer);
      assert.equal(separator, END_OF_TEXT_ID);
      const documents = jsonLineDocuments(pieces(lines, 7), "x", "text");
      const result = await tokenizeDocuments(documents, path, { tokenizer, tokenBytes, separator });
      const { buffer } = await Deno.readFile(path);
      const found = tokenBytes === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer);
      assert.deepEqual([...found], expected);
      assert.deepEqual(result, {
        documents: 3,
        characters: 10,
        tokens: expected.length,
        bytes: expected.length * tokenBytes,
      });
    }
  }));

Deno.test("what cannot be tokenized is refused and leaves no file", () =>
  withFile(async (path) => {
    const options = { tokenizer, tokenBytes: 2, separator: null } as const;
    const bad: [AsyncIterable<TextPart>, RegExp][] = [
      [jsonLineDocuments(pieces('{"text":"a"}\n{"text"', 4), "f", "text"), /line 2 is not JSON/],
      [jsonLineDocuments(pieces('\n{"body":"a"}', 4), "f", "text"), /line 2 has no text in "text"/],
      [jsonLineDocuments(pieces("null", 4), "f", "text"), /line 1 has no text/],
      [plainDocument(pieces("", 4), "f"), /no text to write/],
      [
        plainDocument(
          (async function* () {
            await Promise.resolve();
            yield Uint8Array.of(0x61, 0xff);
          })(),
          "f",
        ),
        /not UTF-8/,
      ],
    ];
    for (const [documents, message] of bad) {
      await assert.rejects(tokenizeDocuments(documents, path, options), {
        code: "TEXT_INVALID",
        message,
      });
    }
    await assert.rejects(
      tokenizeDocuments(plainDocument(pieces("a", 1), "f"), path, {
        ...options,
        tokenizer: { ...tokenizer, vocabSize: 65_537 },
      }),
      { code: "TOKENIZER_TOO_LARGE" },
    );
    assert.throws(() => separatorId(tokenizer, "the cat"), {
      code: "SEPARATOR_UNKNOWN",
      message: /"the cat" is no single token/,
    });
    await assert.rejects(Deno.stat(path));
  }));

Deno.test("directories of the token file are made; where none can be, the path is named", () =>
  withFile(async (path) => {
    const options = { tokenizer, tokenBytes: 2, separator: null } as const;
    const write = (to: string) =>
      tokenizeDocuments(plainDocument(pieces("the cat", 3), "f"), to, options);
    await write(`${path}/deep/in.bin`);
    assert.ok((await Deno.stat(`${path}/deep/in.bin`)).isFile);
    await assert.rejects(write(`${path}/deep/in.bin/no.bin`), {
      code: "OUTPUT_UNWRITABLE",
      message: /in\.bin\/no\.bin cannot be written/,
    });
  }));

Deno.test("a source that is missing or a directory is refused before anything is read", () =>
  withFile(async (path) => {
    await Deno.mkdir(path);
    for (const source of [path, `${path}/none`]) {
      for (const sources of [[source], ["-", source]]) {
        await assert.rejects(sourceBytes(sources), {
          code: "TEXT_INVALID",
          message: /out\.bin.* cannot be read as a file/,
        });
      }
    }
    assert.equal(await sourceBytes(["-"]), null);
  }));
