import assert from "node:assert/strict";
import { Keypair } from "@solana/web3.js";
import bs58 from "bs58";
import { PsycheError } from "../error.ts";
import { createWallet, loadWallet, parseWallet } from "./wallet.ts";

const keypair = Keypair.generate();
const json = JSON.stringify([...keypair.secretKey]);

function failure(run: () => unknown): PsycheError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof PsycheError);
    return error;
  }
  throw new Error("nothing was thrown");
}

async function rejection(promise: Promise<unknown>): Promise<PsycheError> {
  const error = await promise.then(() => undefined, (error) => error);
  assert.ok(error instanceof PsycheError);
  return error;
}

Deno.test("both forms of a wallet parse, with stray white space", () => {
  for (const text of [json, ` ${json}\n`, bs58.encode(keypair.secretKey) + "\n"]) {
    assert.ok(parseWallet(text, "x").publicKey.equals(keypair.publicKey));
  }
});

Deno.test("each malformation has a clear sentence and shows no key material", () => {
  const other = Keypair.generate().secretKey.slice();
  other.set(keypair.publicKey.toBytes(), 32);
  const cases: [string, RegExp][] = [
    ["", /is empty/],
    ["  \n", /is empty/],
    [json.slice(0, 60), /not valid JSON/],
    ["[1,2,3]", /holds 3 bytes/],
    [JSON.stringify([...keypair.secretKey.slice(0, 32)]), /32 bytes/],
    [json.replace("[", '["a",'), /position 0/],
    [json.replace(/,\d+\]$/, ",256]"), /position 63/],
    [json.replace(/,\d+\]$/, ",1.5]"), /position 63/],
    [`[${json}]`, /position 0/],
    ["{}", /neither a JSON array/],
    ["not a key 0OIl", /neither a JSON array/],
    [bs58.encode(keypair.publicKey.toBytes()), /32 bytes/],
    ["z".repeat(100_000), /neither a JSON array/],
    [JSON.stringify([...other]), /public half/],
    [bs58.encode(other), /public half/],
  ];
  for (const [text, message] of cases) {
    const error = failure(() => parseWallet(text, "SOURCE"));
    assert.equal(error.code, "WALLET_INVALID");
    assert.match(error.message, message);
    assert.match(error.message, /SOURCE/);
    assert.ok(error.message.length < 220);
    assert.ok(!error.message.includes(text.slice(0, 12)) || text.length < 12, error.message);
    assert.equal(error.cause, undefined);
  }
});

Deno.test("files: created 0600 and exclusively, warned about when open, clear when missing", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/id.json`;
    const created = await createWallet(path);
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    }
    const loaded = await loadWallet(path);
    assert.ok(loaded.keypair.publicKey.equals(created.publicKey));
    assert.deepEqual(loaded.warnings, []);

    const before = await Deno.readTextFile(path);
    assert.equal((await rejection(createWallet(path))).code, "WALLET_FILE_EXISTS");
    assert.equal(await Deno.readTextFile(path), before);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["id.json"]);

    if (Deno.build.os !== "windows") {
      await Deno.chmod(path, 0o644);
      const [warning] = (await loadWallet(path)).warnings;
      assert.match(warning, /0644.*chmod 600/);
    }
    assert.equal((await rejection(loadWallet(`${folder}/no.json`))).code, "WALLET_FILE_MISSING");
    assert.match((await rejection(loadWallet(folder))).message, /is not a file/);
    const missingFolder = createWallet(`${folder}/a/b.json`);
    assert.equal((await rejection(missingFolder)).code, "WALLET_FILE_UNWRITABLE");
    await Deno.writeFile(`${folder}/big`, new Uint8Array(10_000));
    assert.match((await rejection(loadWallet(`${folder}/big`))).message, /10000 bytes/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
