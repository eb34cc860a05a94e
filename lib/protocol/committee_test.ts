import assert from "node:assert/strict";
import { Committee } from "./coordinator_state.ts";
import { selectCommittee } from "./committee.ts";

const plain = { tieBreakerTasks: 0, witnessNodes: 0, verificationPercent: 0 };
const upTo = (count: number) => [...Array(count).keys()];

Deno.test("one hundred clients with all three committees", () => {
  const selection = selectCommittee({
    tieBreakerTasks: 10,
    witnessNodes: 20,
    verificationPercent: 30,
    clients: 100,
    randomSeed: 12345n,
  });
  const first = upTo(12);
  assert.deepEqual(
    first.map(selection.committeePosition),
    [83, 58, 32, 29, 76, 82, 21, 88, 14, 56, 19, 90],
  );
  const { Trainer: T, Verifier: V } = Committee;
  assert.deepEqual(first.map(selection.committee), [T, T, V, V, T, T, V, T, V, T, V, T]);
  assert.deepEqual(
    first.map(selection.witnessPosition),
    [58, 86, 21, 7, 69, 31, 63, 29, 11, 88, 12, 73],
  );
  const all = upTo(100);
  assert.deepEqual(
    all.filter((i) => selection.committee(i) === Committee.TieBreaker),
    [19, 24, 43, 55, 58, 66, 67, 69, 77, 89],
  );
  assert.equal(all.filter((i) => selection.committee(i) === Committee.Verifier).length, 27);
  assert.deepEqual(
    all.filter(selection.isWitness),
    [3, 8, 10, 16, 21, 22, 31, 33, 43, 51, 54, 56, 67, 73, 77, 80, 92, 95, 96, 99],
  );
});

Deno.test("32 of 240 clients are witnesses when the number is left open", () => {
  const selection = selectCommittee({ ...plain, clients: 240, randomSeed: 0xDEADBEEFCAFEF00Dn });
  assert.deepEqual(upTo(6).map(selection.witnessPosition), [45, 88, 126, 170, 36, 190]);
  assert.deepEqual(
    upTo(240).filter(selection.isWitness).join(", "),
    "9, 10, 16, 26, 31, 54, 64, 92, 97, 110, 118, 120, 122, 129, 139, 142, 152, 161, 164, 167, 168, 170, " +
      "173, 187, 189, 209, 212, 218, 220, 226, 235, 238",
  );
  assert.equal(selection.witnesses, 32);
});

Deno.test("positions recorded on a real run", () => {
  const recorded: [bigint, [number, number][]][] = [
    [5213858447774942109n, [[50, 12], [20, 5], [53, 13]]],
    [2369624365318108589n, [[28, 6], [16, 31], [42, 7]]],
    [17344479237127091550n, [[4, 6], [32, 14], [49, 20]]],
  ];
  for (const [randomSeed, positions] of recorded) {
    const selection = selectCommittee({ ...plain, clients: 63, randomSeed });
    for (const [index, position] of positions) {
      assert.equal(selection.witnessPosition(index), position);
    }
  }
});

Deno.test("only proofs of the round verify", () => {
  const selection = selectCommittee({ ...plain, witnessNodes: 1, clients: 4, randomSeed: 1n });
  assert.deepEqual(upTo(4).map(selection.witnessPosition), [1, 2, 0, 3]);
  assert.deepEqual(upTo(4).map(selection.committeePosition), [2, 0, 1, 3]);
  assert.deepEqual(upTo(4).filter(selection.isWitness), [2]);
  for (const index of upTo(4)) {
    const witness = selection.witnessProof(index);
    assert.ok(selection.verifyWitness(witness));
    assert.ok(!selection.verifyWitness({ ...witness, witness: 1 - witness.witness }));
    assert.ok(!selection.verifyWitness({ ...witness, witness: 2 }));
    assert.ok(!selection.verifyWitness({ ...witness, position: witness.position + 1n }));
    assert.ok(!selection.verifyWitness({ ...witness, index: 4n }));
    const committee = selection.committeeProof(index);
    assert.ok(selection.verifyCommittee(committee));
    assert.ok(!selection.verifyCommittee({ ...committee, committee: Committee.Verifier }));
    assert.ok(!selection.verifyCommittee({ ...committee, position: committee.position + 1n }));
    assert.ok(!selection.verifyCommittee({ ...committee, index: 1n << 63n }));
  }
});

Deno.test("impossible rounds are refused", () => {
  const round = { ...plain, clients: 3, randomSeed: 1n };
  for (
    const broken of [{ tieBreakerTasks: 4 }, { witnessNodes: 4 }, { verificationPercent: 101 }]
  ) {
    assert.throws(() => selectCommittee({ ...round, ...broken }), {
      code: "COMMITTEE_INCONSISTENT",
    });
  }
});
