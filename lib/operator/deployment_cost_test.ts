import assert from "node:assert/strict";
import { deploymentCost, leastRoom, type ProgramCost } from "./deployment_cost.ts";

/** Solana's present rule: two years of 3,480 lamports for each byte and 128 more. */
const rent = (bytes: number) => Promise.resolve((bytes + 128) * 6960);
const program = (action: ProgramCost["action"], bytes = 80_000): ProgramCost => ({
  action,
  bytes,
  withIdl: false,
});

Deno.test("new programs lock the rent of their room, one after the other", async () => {
  const { locked, needed } = await deploymentCost(
    [program("deploy"), program("deploy")],
    500_000,
    rent,
  );
  const each = await rent(500_045) + await rent(36);
  assert.deepEqual(locked, [each, each]);
  // The buffers are smaller than the rooms and their rent comes back before these are paid.
  assert.ok(needed > 2 * each && needed < 2 * each + 3_000_000, `${needed}`);
});

Deno.test("an upgrade borrows the rent of its buffer, what is unchanged costs nothing", async () => {
  const { locked, needed } = await deploymentCost(
    [program("upgrade"), program("unchanged")],
    500_000,
    rent,
  );
  assert.deepEqual(locked, [0, 0]);
  assert.ok(needed > await rent(80_037) && needed < await rent(80_037) + 2_000_000, `${needed}`);
  assert.equal((await deploymentCost([program("unchanged")], 1, rent)).needed, 0);
});

Deno.test("the IDL is paid for, and a room smaller than the program does not count", async () => {
  const idl = { ...program("deploy", 1_000_001), withIdl: true };
  const { locked: [all] } = await deploymentCost([idl], 5, rent);
  assert.equal(all, await rent(1_000_046) + await rent(36) + await rent(10_000));
  assert.equal(leastRoom([idl, program("deploy")]), 1_001_000);
});
