import assert from "node:assert/strict";
import { PublicKey } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import {
  associatedTokenAddress,
  authorizationAddress,
  coordinatorInstanceAddress,
  participantAddress,
  treasurerIndex,
  treasurerRunAddress,
} from "./pda.ts";
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

Deno.test("treasurer indices and addresses of the specification", () => {
  assert.equal(treasurerIndex("test"), 7_313_085_519_096_743_583n);
  assert.equal(treasurerIndex("consilience-40b"), 16_978_848_401_025_223_105n);
  assert.equal(treasurerIndex("my-run"), 9_439_940_732_810_615_732n);
  for (
    const [index, run, participant] of [
      [
        0n,
        "5T7qGzQeVWZX21h3M3ogZXM4vaVaYQKC2jLG93PXA3DD",
        "F1PTihhAwKJSEjoPB9dF6gNW2VLVgrUkq9iuMnM7ysZC",
      ],
      [
        42n,
        "W18VYADXf32E6gaHFfdsfj5zmuBCNEvpfC7VCBompGa",
        "At3BstShVSWbbtu4qPhfE5Nu7eoGGcB7aGyhpAkjp5te",
      ],
      [
        treasurerIndex("test"),
        "tG3nRngwkJC3JAL9Aq9AMhFtTzr56hr9ZmaSRpD8dT8",
        "GQqc74x4q3iuLJMcfkL4GDzD6anzxdwP5XvBtyacVCkZ",
      ],
    ] as const
  ) {
    const address = treasurerRunAddress(ids, index);
    assert.equal(address.toBase58(), run);
    assert.equal(participantAddress(ids, address, key(2)).toBase58(), participant);
  }
  const mint = new PublicKey("So11111111111111111111111111111111111111112");
  assert.equal(
    associatedTokenAddress(treasurerRunAddress(ids, 42n), mint).toBase58(),
    "7bPy8m4h1LNNf9LQEA5oHpciCFukrfsC9quTNSP2xaFx",
  );
  for (const index of [-1n, 1n << 64n]) {
    assert.throws(
      () => treasurerRunAddress(ids, index),
      (error) => error instanceof PsycheError && error.code === "TREASURER_INDEX_INVALID",
    );
  }
});
