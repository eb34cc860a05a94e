import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import checksums from "../../programs/checksums.json" with { type: "json" };
import { programFile } from "./harness.ts";

Deno.test("the committed programs are the ones whose hashes are recorded", () => {
  for (const name of ["authorizer", "coordinator", "treasurer", "placeholder"] as const) {
    const digest = createHash("sha256").update(programFile(name)).digest("hex");
    assert.equal(digest, checksums.sha256[`${name}.so`]);
  }
});

Deno.test("so are the committed kernels of the trainer", () => {
  const file = new URL("../../lib/trainer/kernels/kernels.wasm", import.meta.url);
  const digest = createHash("sha256").update(Deno.readFileSync(file)).digest("hex");
  assert.equal(digest, checksums.sha256["kernels.wasm"]);
});
