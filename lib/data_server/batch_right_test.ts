import assert from "node:assert/strict";
import fc from "fast-check";
import { assignBatches } from "../protocol/assignment.ts";
import { ClientState, RunState } from "../protocol/coordinator_state.ts";
import { seed } from "../protocol/property_seed.ts";
import { configuredRun, identity } from "../protocol/state_fixture.ts";
import { batchRight } from "./batch_right.ts";

Deno.test("each batch of a round belongs to exactly one member", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 40 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 0n, max: 2n ** 40n }),
      fc.constantFrom(RunState.RoundTrain, RunState.RoundWitness),
      (members, batch, randomSeed, dataIndex, runState) => {
        const state = configuredRun({
          globalBatchSizeStart: batch,
          globalBatchSizeEnd: batch,
          witnessNodes: 0,
          totalSteps: 1000,
        });
        state.runState = runState;
        state.epochState.clients = Array.from({ length: members }, (_, i) => ({
          id: identity(i + 1),
          state: ClientState.Healthy,
          exitedHeight: 0,
        }));
        const round = { clientsLen: members, randomSeed, dataIndex };
        Object.assign(state.epochState.rounds[0], round);
        const assignments = assignBatches(state);
        const covered = assignments.reduce(
          (sum, { batchId }) => sum + Number(batchId.end - batchId.start) + 1,
          0,
        );
        assert.equal(covered, batch);
        for (const { clientIndex, batchId } of assignments) {
          for (let i = 0; i < members; i++) {
            const right = batchRight(state, identity(i + 1).p2pIdentity, batchId);
            const working = assignments.some((other) => other.clientIndex === i);
            assert.equal(
              right,
              i === clientIndex ? "granted" : working ? "WrongDataIdForStep" : "NotInThisRound",
            );
          }
          assert.equal(batchRight(state, identity(99).p2pIdentity, batchId), "NotAMember");
        }
        const [{ clientIndex, batchId }] = assignments;
        const key = identity(clientIndex + 1).p2pIdentity;
        for (const other of [RunState.Warmup, RunState.Cooldown, RunState.Paused]) {
          assert.equal(batchRight({ ...state, runState: other }, key, batchId), "NotInThisRound");
        }
        const closing = { ...state, epochState: { ...state.epochState, lastStep: 5 } };
        assert.equal(batchRight(closing, key, batchId), "NotInThisRound");
      },
    ),
    { seed: seed(), numRuns: 40 },
  );
});
