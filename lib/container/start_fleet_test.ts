import assert from "node:assert/strict";
import { PsycheError } from "../error.ts";
import { fleetWallets } from "./fleet_wallets.ts";
import { gpuOf, threadsEach } from "./start_fleet.ts";

Deno.test("one GPU each, none where there is none, and never too few in silence", () => {
  assert.deepEqual([0, 1].map((i) => gpuOf(i, 2, 4)), [0, 1]);
  assert.equal(gpuOf(5, 6, 0), undefined);
  assert.throws(
    () => gpuOf(0, 3, 2),
    (error) => error instanceof PsycheError && error.code === "GPUS_TOO_FEW",
  );
});

Deno.test("clients share the processors", () => {
  assert.deepEqual([1, 2, 3, 9].map((n) => threadsEach(n, 8)), [8, 4, 2, 1]);
});

Deno.test("wallets of a fleet are counted by name", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["keypair_1.json", "keypair_2.json", "pubkeys.txt", "notes.txt"]) {
      await Deno.writeTextFile(`${folder}/${name}`, "");
    }
    const two = ["keypair_1.json", "keypair_2.json"].map((name) => `${folder}/${name}`);
    assert.deepEqual(await fleetWallets(folder, 2), two);
    await assert.rejects(
      fleetWallets(folder, 3),
      (error) => error instanceof PsycheError && error.code === "FLEET_WALLETS_MISSING",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
