import assert from "node:assert/strict";
import { loadTokenizer } from "../tokenizer/tokenizer.ts";
import { prepareDemoCorpus } from "./demo_corpus.ts";
import { localProvider } from "./local_provider.ts";

Deno.test("the demo corpus is whole, readable, kept when intact and repaired when not", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const options = { vocabSize: 300, seed: 7 };
    const corpus = await prepareDemoCorpus(directory, options);
    assert.deepEqual(
      [...Deno.readDirSync(directory)].map(({ name }) => name).sort(),
      ["corpus.json", "factbook.bin", "heldout.bin", "tokenizer.json"],
    );
    assert.ok(corpus.tokens > 1_000_000 && corpus.tokens < 8_000_000);
    assert.ok(corpus.heldOutDocuments > 2 && corpus.heldOutDocuments < corpus.documents / 8);

    const tokenizer = loadTokenizer(await Deno.readTextFile(`${directory}/tokenizer.json`));
    assert.equal(tokenizer.vocabSize, 300);
    const format = { sequenceLength: 128, tokenBytes: 2, maxToken: 299 } as const;
    const heldOut = await localProvider(`${directory}/heldout.bin`, format);
    assert.equal(heldOut.sequences, Math.ceil(corpus.heldOutTokens / 128) - 1);
    const { tokens } = await heldOut.read({ start: 0n, end: 3n });
    const text = tokenizer.decode([...tokens]);
    assert.match(text, /^[A-Z][\w ]+\. Background: /);
    assert.deepEqual(tokenizer.encode(text), [...tokens]);

    const changed = () => Deno.statSync(`${directory}/factbook.bin`).mtime?.getTime();
    const before = changed();
    assert.deepEqual(await prepareDemoCorpus(directory, options), corpus);
    assert.equal(changed(), before);

    await Deno.truncate(`${directory}/heldout.bin`, 100);
    assert.deepEqual(await prepareDemoCorpus(directory, options), corpus);
    assert.equal(Deno.statSync(`${directory}/heldout.bin`).size, corpus.heldOutTokens * 2);

    await assert.rejects(
      prepareDemoCorpus(directory, { ...options, seed: 8, signal: AbortSignal.abort("stop") }),
      (reason) => reason === "stop",
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
