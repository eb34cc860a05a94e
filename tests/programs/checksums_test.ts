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
