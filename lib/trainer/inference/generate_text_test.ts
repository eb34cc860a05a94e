import assert from "node:assert/strict";
import { bpeTokenizerJson } from "../tokenizer/bpe_model.ts";
import { loadTokenizer } from "../tokenizer/tokenizer.ts";
import { trainBpe } from "../tokenizer/train_bpe.ts";
import { generateText } from "./generate_text.ts";

const tokenizer = loadTokenizer(bpeTokenizerJson(trainBpe("the cat sat ".repeat(9), 280)));

/** A model that continues with given tokens. */
function saying(tokens: number[]) {
  return {
    tokenizer,
    async *generate() {
      await Promise.resolve();
      yield* tokens;
    },
  };
}

Deno.test("characters of several tokens come whole, and the pieces are the text", async () => {
  const said = " the 東京 cat 👩‍🚀 sat é";
  const tokens = tokenizer.encode(said);
  assert.ok(tokens.length > said.length / 2);
  const pieces: string[] = [];
  const made = await generateText(saying(tokens), "the", {
    maxNewTokens: 99,
    onText: (piece) => pieces.push(piece),
  });
  assert.deepEqual(made, { text: said, tokens: tokens.length });
  assert.equal(pieces.join(""), said);
  assert.ok(pieces.length > 5 && pieces.every((piece) => !piece.includes("\uFFFD")));
});

Deno.test("a character that is never finished ends as a replacement", async () => {
  const tokens = tokenizer.encode("a東").slice(0, -1);
  const { text } = await generateText(saying(tokens), "the", { maxNewTokens: 99 });
  assert.equal(text, "a\uFFFD");
});
