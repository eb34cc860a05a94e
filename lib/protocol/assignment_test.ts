import assert from "node:assert/strict";
import fc from "fast-check";
import { ClientState } from "./coordinator_state.ts";
import { assignBatches, batchIdText, roundBatchIds, splitBatch } from "./assignment.ts";
import { emptyCoordinatorState } from "./empty_state.ts";
import { seed } from "./property_seed.ts";

function round(
  clients: number,
  witnessNodes: number,
  randomSeed: bigint,
  dataIndex: bigint,
  batch: number,
) {
  const state = emptyCoordinatorState("assignment", "test");
  Object.assign(state.config, {
    witnessNodes,
    globalBatchSizeStart: batch,
    globalBatchSizeEnd: batch,
  });
  state.epochState.clients = Array.from({ length: clients }, () => ({
    id: { signer: new Uint8Array(32), p2pIdentity: new Uint8Array(32) },
    state: ClientState.Healthy,
    exitedHeight: 0,
  }));
  Object.assign(state.epochState.rounds[0], { clientsLen: clients, randomSeed, dataIndex });
  return state;
}

Deno.test("assignments of section 5", () => {
  const vectors: [number, number, bigint, bigint, number, string][] = [
    [4, 0, 42n, 0n, 10, "0:0-2 3:3-5 2:6-7 1:8-9"],
    [5, 0, 12345n, 1000n, 13, "0:1000-1002 2:1003-1005 1:1006-1008 4:1009-1010 3:1011-1012"],
    [3, 1, 7n, 500n, 2, "0:500-500 1:501-501"],
    [
      8,
      0,
      0xDEADBEEFCAFEF00Dn,
      4096n,
      20,
      "6:4096-4098 3:4099-4101 4:4102-4104 7:4105-4107 1:4108-4109 2:4110-4111 5:4112-4113 0:4114-4115",
    ],
  ];
  for (const [clients, witnesses, randomSeed, dataIndex, batch, expected] of vectors) {
    const state = round(clients, witnesses, randomSeed, dataIndex, batch);
    const assigned = assignBatches(state);
    const text = assigned.map(({ clientIndex, batchId }) =>
      `${clientIndex}:${batchId.start}-${batchId.end}`
    );
    assert.equal(text.join(" "), expected);
    assert.deepEqual(roundBatchIds(state), assigned.map(({ batchId }) => batchId));
  }
});

Deno.test("closing rounds and rounds without trainers have no work", () => {
  const closing = round(4, 0, 42n, 0n, 10);
  closing.epochState.lastStep = 7;
  assert.deepEqual(assignBatches(closing), []);
  const verifiers = round(4, 0, 42n, 0n, 10);
  verifiers.config.verificationPercent = 100;
  assert.deepEqual(assignBatches(verifiers), []);
});

Deno.test("a batch is split without gaps and evenly", () => {
  fc.assert(
    fc.property(
      fc.bigInt(0n, 1n << 40n),
      fc.nat(1000),
      fc.integer({ min: 1, max: 256 }),
      (start, sequences, trainers) => {
        const ids = splitBatch(start, sequences, trainers);
        const sizes = ids.map((id) => Number(id.end - id.start) + 1);
        let next = start;
        for (const id of ids) {
          assert.equal(id.start, next);
          next = id.end + 1n;
        }
        assert.equal(next - start, BigInt(sequences));
        if (sizes.length > 0) assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
        assert.equal(ids.length, Math.min(sequences, trainers));
      },
    ),
    { seed: seed() },
  );
});

Deno.test("text of a batch id", () => {
  assert.equal(batchIdText({ start: 7n, end: 7n }), "B7");
  assert.equal(batchIdText({ start: 3n, end: 5n }), "B[3, 5]");
});
