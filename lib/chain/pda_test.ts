import assert from "node:assert/strict";
import { PublicKey } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import { authorizationAddress, coordinatorInstanceAddress } from "./pda.ts";
import { defaultProgramIds } from "./programs.ts";

const ids = defaultProgramIds();
const key = (byte: number) => new PublicKey(new Uint8Array(32).fill(byte));

Deno.test("coordinator instance addresses of the specification", () => {
  const vectors = {
    "test": "9L4yCH7TsMn9JfoXYEupuQwtcNPTTtHcyNL6uqDfjwGB",
    "consilience-40b": "2MV4Zy5ZF1TB4b85ajHiKdin5JD5mKa5tMdfr3MGXdQN",
    "this is a dummy run_id": "7A8YkWgQusRWodA6kUbutrW4S63g2oWeMF3MArExJTAe",
    ["a".repeat(32)]: "8m8XEqzkzLkyNBdHoEDfBNzmnVjGXaryVbWkP19wJSEv",
  };
  for (const [runId, address] of Object.entries(vectors)) {
    assert.equal(coordinatorInstanceAddress(ids, runId).toBase58(), address);
  }
});

Deno.test("authorization addresses of the specification", () => {
  assert.equal(
    authorizationAddress(ids, key(1), PublicKey.default).toBase58(),
    "7i6cbXVqahwHLEQmetfSnwz3FdckTxucZHNBczReh1Cv",
  );
  assert.equal(
    authorizationAddress(ids, key(1), key(2)).toBase58(),
    "3Czay3sUYhBo56tHTS14WsRA3KnfHw3FAsN95BDbjLCj",
  );
});

Deno.test("run ids and scopes that cannot be seeds are refused", () => {
  const code = (expected: string) => (error: unknown) =>
    error instanceof PsycheError && error.code === expected;
  for (const runId of ["", "a".repeat(33), "é".repeat(17)]) {
    assert.throws(() => coordinatorInstanceAddress(ids, runId), code("RUN_ID_INVALID"));
  }
  assert.throws(
    () => authorizationAddress(ids, key(1), key(2), new Uint8Array(33)),
    code("SCOPE_TOO_LONG"),
  );
});
