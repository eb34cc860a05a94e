import assert from "node:assert/strict";
import fc from "fast-check";
import { bpeEncoder } from "./bpe_encoder.ts";
import { BYTE_CHARACTERS } from "./byte_alphabet.ts";
import { bpeTokenizerJson, bpeVocabSize, END_OF_TEXT, END_OF_TEXT_ID } from "./bpe_model.ts";
import { loadTokenizer } from "./tokenizer.ts";
import { trainBpe } from "./train_bpe.ts";

const sample = [
  "The quick brown fox jumps over the lazy dog. The dog doesn't mind, the fox's quick.",
  "Österreich: 8,859,449 (July 2020 est.)\n\n  über 100 % — naïve façade 東京 👩‍🚀 don't we'll I'd",
].join("\n").repeat(3);

Deno.test("the byte alphabet has 256 different printable characters", () => {
  assert.equal(new Set(BYTE_CHARACTERS).size, 256);
  assert.equal(BYTE_CHARACTERS[0x20], "\u0120");
  assert.equal(BYTE_CHARACTERS[0x0a], "\u010a");
  assert.equal(BYTE_CHARACTERS[0x61], "a");
});

Deno.test("merges are the most frequent pairs, smaller ids first among equals", () => {
  const id = (character: string) => 1 + character.charCodeAt(0);
  const { merges } = trainBpe("abab abab cdcd", 261);
  // "ab" occurs 4 times; then "abab" and "cd" occur twice each, everything else once.
  const expected = [[id("a"), id("b")], [id("c"), id("d")], [257, 257]];
  assert.deepEqual(merges, expected);
});

Deno.test("training stops when no pair repeats, and is repeatable", () => {
  assert.equal(bpeVocabSize(trainBpe("abc", 5000)), 257);
  assert.deepEqual(trainBpe(sample, 400), trainBpe(sample, 400));
  assert.equal(bpeVocabSize(trainBpe(sample, 300)), 300);
});

Deno.test("the tokenizer.json loads, gives equal ids and an exact round trip", () => {
  const model = trainBpe(sample, 400);
  const encode = bpeEncoder(model);
  const loaded = loadTokenizer(bpeTokenizerJson(model));
  assert.equal(loaded.vocabSize, bpeVocabSize(model));
  const check = (text: string) => {
    const ids = encode(text);
    assert.deepEqual(loaded.encode(text), ids);
    assert.equal(loaded.decode(ids), text);
  };
  check(sample);
  check("");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), (text) => {
      fc.pre(text.isWellFormed() && !text.includes(END_OF_TEXT));
      check(text);
    }),
    { numRuns: 300 },
  );
  fc.assert(fc.property(
    fc.array(fc.constantFrom("the", " ", "fox", "'s", "\n", "  ", "é", "12", ".")),
    (parts) => check(parts.join("")),
  ));
});

Deno.test("the end-of-text token is one id in the file form", () => {
  const loaded = loadTokenizer(bpeTokenizerJson(trainBpe("", 300)));
  assert.deepEqual(loaded.encode(`a${END_OF_TEXT}`), [1 + 0x61, END_OF_TEXT_ID]);
});

Deno.test("bad sizes and files are refused", () => {
  for (const size of [256, 65537, 300.5, NaN]) {
    assert.throws(() => trainBpe("a", size), { code: "TOKENIZER_INVALID" });
  }
  for (const json of ["", "{}", "null", '{"model":{"type":"Nope"}}']) {
    assert.throws(() => loadTokenizer(json), { code: "TOKENIZER_INVALID" });
  }
});

Deno.test("ids without a token are left out of a text", () => {
  const loaded = loadTokenizer(bpeTokenizerJson(trainBpe("", 300)));
  const [a, b] = loaded.encode("ab");
  for (const id of [-1, 257, 1.5, NaN]) {
    assert.equal(loaded.decode([a, id, b]), "ab");
    assert.equal(loaded.decode([id]), "");
  }
});

Deno.test("ids of exact tokens are found, special ones included, and no others", () => {
  const json = JSON.parse(bpeTokenizerJson(trainBpe("the cat sat ".repeat(9), 280)));
  const plain = loadTokenizer(JSON.stringify(json));
  assert.equal(plain.idOf("<s>"), undefined);
  const [id] = plain.encode("a");
  assert.equal(plain.idOf("a"), id);
  json.added_tokens.push({
    id: 280,
    content: "<s>",
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  const special = loadTokenizer(JSON.stringify(json));
  assert.equal(special.idOf("<s>"), 280);
  assert.deepEqual(special.encode("<s>a"), [280, id]);
});
