/** Compute units stay far from what a transaction gets without asking: 200,000. */
import assert from "node:assert/strict";
import { INSTRUCTIONS } from "./scenes.ts";
import { measureCosts } from "./cost.ts";

Deno.test("compute units at 1, 16 and 256 clients", () => {
  const { units, sizes } = measureCosts();
  for (const count of [1, 16, 256]) {
    for (const [program, name] of INSTRUCTIONS) {
      assert.ok(`${program}.${name}` in units[count], `${name} was not measured`);
    }
  }
  const most = units[256];
  assert.ok(most["coordinator.tick"] < 200_000 && most["coordinator.tick"] > 0);
  assert.ok(most["coordinator.witness"] < 200_000 && most["coordinator.witness"] > 0);
  // What is measured today, with some room: a larger number should be a decision.
  for (const [what, used] of Object.entries(most)) {
    assert.ok(used < 100_000, `${what} needs ${used}`);
  }
  for (const { bytes, rentLamports } of Object.values(sizes)) {
    assert.ok(bytes < 100_000 && rentLamports < 1e9);
  }
});
