import assert from "node:assert/strict";
import { PsycheError } from "../error.ts";
import type { Model } from "../protocol/coordinator_state.ts";
import { fieldChanges } from "./field_changes.ts";
import { formatSol } from "./lamports.ts";
import { throwProblems } from "./problems.ts";
import { withLocalData } from "./served_data.ts";
import { waitUntil } from "./wait_until.ts";

Deno.test("changes are named as in the configuration file", () => {
  const before = { epochTime: 60n, nested: { list: [1, 2], gone: true }, same: "x" };
  const after = {
    epochTime: 90n,
    nested: { list: [1, 3] },
    same: "x",
    seed: new Uint8Array([255]),
  };
  assert.deepEqual(fieldChanges("config", before, after), [
    { field: "config.epoch_time", before: "60", after: "90" },
    { field: "config.nested.list[1]", before: "2", after: "3" },
    { field: "config.seed", before: "(none)", after: "ff" },
    { field: "config.nested.gone", before: "true", after: "(none)" },
  ]);
  assert.deepEqual(fieldChanges("config", before, structuredClone(before)), []);
});

Deno.test("optimizer numbers compare as the 32-bit values that the chain keeps", () => {
  const stored = { optimizer: { decay: Math.fround(0.999) }, lr: Math.fround(0.1) };
  const wanted = { optimizer: { decay: 0.999 }, lr: 0.1 };
  assert.deepEqual(fieldChanges("model", stored, wanted).map(({ field }) => field), ["model.lr"]);
});

Deno.test("SOL is written with nine decimals", () => {
  assert.equal(formatSol(0), "0.000000000 SOL");
  assert.equal(formatSol(829_361_440), "0.829361440 SOL");
  assert.equal(formatSol(-5000n), "-0.000005000 SOL");
  assert.equal(formatSol(12_000_000_000), "12.000000000 SOL");
});

Deno.test("one problem keeps its code, several are listed together", () => {
  throwProblems([]);
  const a = new PsycheError("A", "First.");
  assert.throws(() => throwProblems([a]), a);
  assert.throws(() => throwProblems([a, new PsycheError("B", "Second.")]), (error: unknown) => {
    assert.ok(error instanceof PsycheError);
    assert.equal(error.code, "PREFLIGHT_FAILED");
    return error.message.includes("[A] First.") && error.message.includes("[B] Second.");
  });
});

Deno.test("waiting ends with the condition, the time or the signal", async () => {
  let looks = 0;
  await waitUntil(() => Promise.resolve(++looks === 3), {
    what: "the third look",
    timeoutMillis: 5000,
    intervalMillis: 1,
  });
  assert.equal(looks, 3);
  const never = { what: "nothing", timeoutMillis: 5, intervalMillis: 1 };
  await assert.rejects(waitUntil(() => Promise.resolve(false), never), { code: "WAIT_TIMEOUT" });
  const controller = new AbortController();
  const stopped = waitUntil(() => Promise.resolve(false), {
    ...never,
    timeoutMillis: 60_000,
    intervalMillis: 60_000,
    signal: controller.signal,
  });
  controller.abort(new PsycheError("INTERRUPTED", "Stopped."));
  await assert.rejects(stopped, { code: "INTERRUPTED" });
});

Deno.test("only data on the default localnet address moves to the localnet's port", () => {
  const model = (url: string) => ({
    dataLocation: { kind: "Http", location: { kind: "SingleUrl", url } },
  } as Model);
  const moved = withLocalData(model("http://127.0.0.1:8899/data/x.bin"), "http://127.0.0.1:4000/");
  assert.deepEqual(moved, model("http://127.0.0.1:4000/data/x.bin"));
  const elsewhere = withLocalData(model("http://localhost:8899/x"), "http://validator:8899/");
  assert.deepEqual(elsewhere, model("http://validator:8899/x"));
  for (const url of ["https://data.example/x.bin", "http://127.0.0.1:8080/x.bin"]) {
    assert.deepEqual(withLocalData(model(url), "http://127.0.0.1:4000/"), model(url));
  }
});
