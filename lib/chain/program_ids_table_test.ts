import assert from "node:assert/strict";
import { Keypair } from "@solana/web3.js";
import { bindProgramIds, readProgramIds } from "./program_ids_table.ts";

const PROGRAMS = new URL("../../programs/", import.meta.url);

Deno.test("ids that were bound are read back; other bytes have none", async () => {
  const so = await Deno.readFile(new URL("coordinator.so", PROGRAMS));
  const ids = [Keypair.generate().publicKey, Keypair.generate().publicKey];
  assert.deepEqual(readProgramIds(bindProgramIds(so, ids), 2), ids);
  assert.equal(readProgramIds(new Uint8Array(1000), 1), undefined);
  assert.equal(readProgramIds(new Uint8Array(0), 1), undefined);
});
