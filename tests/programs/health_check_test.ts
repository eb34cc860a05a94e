/** docs/protocol/coordinator-state-machine.md section 11, against the built program. */
import assert from "node:assert/strict";
import { healthCheckInstruction } from "../../lib/chain/coordinator_instructions.ts";
import { bloomAdd, createBloom } from "../../lib/protocol/bloom.ts";
import { selectRoundCommittee } from "../../lib/protocol/committee.ts";
import { ClientState, RunState } from "../../lib/protocol/coordinator_state.ts";
import { previousRound } from "../../lib/protocol/run_state.ts";
import { sha256 } from "../../lib/protocol/sha256.ts";
import { assertError, Chain, Run } from "./harness.ts";

const INVALID = "CoordinatorErrorInvalidHealthCheck";
const LAZY = 1;

/** Three clients; no witness ever sees the one with index {@linkcode LAZY}. */
function run() {
  const chain = new Chain();
  const run = new Run(chain).create().configure({ witnessNodes: 0, epochTime: 10_000n });
  chain.run(run.setPaused(false));
  for (const name of ["A", "B", "C"]) chain.run(run.join(chain.wallet(name)));
  const next = () => {
    chain.at(chain.time + 20n, chain.slot + 40n);
    chain.run(run.tick());
  };
  next();
  next();
  return {
    chain,
    run,
    next,
    /** From one RoundTrain to the next. */
    round() {
      const state = run.state();
      assert.equal(state.runState, RunState.RoundTrain);
      const filter = createBloom([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
      state.epochState.clients.forEach((client, i) => {
        if (i !== LAZY) bloomAdd(filter, sha256(client.id.signer));
      });
      for (const { user, proof } of run.elected(state)) chain.run(run.witness(user, proof, filter));
      next();
    },
    check(
      index: number,
      change: { position?: bigint; index?: bigint; committee?: 0 | 1 | 2 } = {},
    ) {
      const state = run.state();
      const proof = selectRoundCommittee(state, previousRound(state)!).committeeProof(index);
      return healthCheckInstruction({
        ...run.asUser(chain.wallet("A")),
        target: state.epochState.clients[index].id,
        ...proof,
        ...change,
      });
    },
  };
}

Deno.test("a client that no witness saw is dropped, leaves at the end of the round and earns nothing", () => {
  const { chain, run: training, next, round, check } = run();
  round();
  assertError(chain.send(check(LAZY)), 6014, INVALID);
  round();
  assertError(chain.send(check(0)), 6014, INVALID);
  const result = chain.run(check(LAZY));
  console.log(`health check: ${result.units} compute units`);
  let { epochState } = training.state();
  assert.equal(epochState.clients[LAZY].state, ClientState.Dropped);
  chain.run(check(LAZY));
  assert.equal(training.state().epochState.clients.length, 3, "keeps its place for now");
  next();
  next();
  epochState = training.state().epochState;
  const names = (list: typeof epochState.clients) =>
    list.map((c) => Buffer.from(c.id.signer).toString("hex"));
  const [a, b, c] = training.state().clientsState.clients.map((j) =>
    Buffer.from(j.id.signer).toString("hex")
  );
  // Nobody witnessed the last round: the others are withdrawn behind the dropped one.
  assert.deepEqual(names(epochState.exitedClients), [b]);
  assert.deepEqual(names(epochState.clients), [a, c]);
  assert.equal(epochState.exitedClients[0].exitedHeight, 2);
});

Deno.test("a health check needs the right proof", () => {
  const { chain, round, check } = run();
  round();
  round();
  const invalid = "CoordinatorErrorInvalidCommitteeProof";
  assertError(chain.send(check(LAZY, { position: 3n })), 6021, invalid);
  assertError(chain.send(check(LAZY, { index: 0n })), 6021, invalid);
  assertError(chain.send(check(LAZY, { index: 3n })), 6021, invalid);
  assertError(chain.send(check(LAZY, { committee: 1 })), 6021, invalid);
  const stranger = check(LAZY);
  stranger.keys[0].pubkey = chain.wallet("stranger");
  assertError(chain.send(stranger), 6007, "SignerNotAClient");
  const garbled = check(LAZY);
  garbled.data[8 + 64] = 3;
  assertError(chain.send(garbled), 102, "InstructionDidNotDeserialize");
});
