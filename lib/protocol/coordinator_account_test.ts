import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import fc from "fast-check";
import { PsycheError } from "../error.ts";
import { ClientState, type CoordinatorState, RunState } from "./coordinator_state.ts";
import { createBloom } from "./bloom.ts";
import {
  COORDINATOR_ACCOUNT_DISCRIMINATOR,
  COORDINATOR_ACCOUNT_SIZE,
  COORDINATOR_INSTANCE_DISCRIMINATOR,
  COORDINATOR_INSTANCE_SIZE,
  decodeCoordinatorAccount,
  decodeCoordinatorInstance,
  encodeCoordinatorAccount,
  readCoordinatorNonce,
} from "./coordinator_account.ts";
import { emptyCoordinatorState } from "./empty_state.ts";
import { seed } from "./property_seed.ts";
import { runs } from "./run_arbitrary.ts";
import { sha256 } from "./sha256.ts";

const key = (byte: number) => new Uint8Array(32).fill(byte);
const identity = (byte: number) => ({ signer: key(byte), p2pIdentity: key(byte + 1) });
const ascii = (text: string) => new TextEncoder().encode(text);

/** A state with a different value in every field. */
function fullState(): CoordinatorState {
  const state = emptyCoordinatorState("run", "v1");
  state.metadata = { name: "name", description: "text", numParameters: 11n, vocabSize: 12n };
  state.runState = RunState.Cooldown;
  state.progress = { epoch: 13, step: 14, epochStartDataIndex: 15n };
  state.epochState.rounds.forEach((round, i) => {
    Object.assign(round, {
      dataIndex: BigInt(100 + i),
      randomSeed: BigInt(200 + i),
      height: 300 + i,
      clientsLen: 400 + i,
      tieBreakerTasks: 500 + i,
    });
    for (let w = 0; w <= i; w++) {
      round.witnesses.push({
        proof: { position: BigInt(w + 1), index: BigInt(w + 2), witness: w + 3 },
        participantBloom: createBloom([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]),
        broadcastBloom: createBloom([9n, 10n, 11n, 12n, 13n, 14n, 15n, 16n]),
        broadcastMerkle: key(w + 4),
      });
    }
  });
  state.epochState.rounds[3].witnesses[1].participantBloom.words[15] = 1n << 63n;
  state.epochState.clients = [
    { id: identity(20), state: ClientState.Healthy, exitedHeight: 21 },
    { id: identity(22), state: ClientState.Ejected, exitedHeight: 23 },
  ];
  state.epochState.exitedClients = [
    { id: identity(24), state: ClientState.Dropped, exitedHeight: 25 },
  ];
  Object.assign(state.epochState, {
    roundsHead: 2,
    startStep: 26,
    lastStep: 27,
    startTimestamp: 28n,
    firstRound: true,
    coldStartEpoch: true,
  });
  state.runStateStartUnixTimestamp = 29n;
  state.pendingPause = true;
  state.clientsState = {
    clients: [{ id: identity(30), earned: 31n, slashed: 32n, active: 33n }],
    nextActive: 34n,
    currentEpochRates: { earningRateTotalShared: 35n, slashingRatePerClient: 36n },
    futureEpochRates: { earningRateTotalShared: 37n, slashingRatePerClient: 38n },
  };
  state.isWarmupFirstTick = true;
  state.isTrainingFirstTick = true;
  state.nonce = 39n;
  return state;
}

const refused = (data: Uint8Array) => {
  assert.throws(() => decodeCoordinatorAccount(data), { code: "COORDINATOR_ACCOUNT_INVALID" });
};

Deno.test("discriminators are hashes of the account names", () => {
  assert.deepEqual(
    sha256(ascii("account:CoordinatorAccount")).slice(0, 8),
    COORDINATOR_ACCOUNT_DISCRIMINATOR,
  );
  assert.deepEqual(
    sha256(ascii("account:CoordinatorInstance")).slice(0, 8),
    COORDINATOR_INSTANCE_DISCRIMINATOR,
  );
});

Deno.test("fields lie where the layout says", () => {
  const data = encodeCoordinatorAccount(fullState());
  assert.equal(data.length, COORDINATOR_ACCOUNT_SIZE);
  const view = new DataView(data.buffer);
  const u64: [number, number][] = [
    [8, 1],
    [360, 11],
    [368, 12],
    [1040, 15],
    [15128, 1],
    [15136, 100],
    [15144, 200],
    [29240, 2],
    [29248, 101],
    [29256, 201],
    [43352, 3],
    [43360, 102],
    [43368, 202],
    [57464, 4],
    [57472, 103],
    [57480, 203],
    // Second witness of round 3: proof, first keys of both filters.
    [43384 + 440, 2],
    [43384 + 448, 3],
    [43384 + 440 + 24, 1],
    [43384 + 440 + 216, 9],
    [75928, 2],
    [94368, 1],
    [94392, 28],
    [94408, 29],
    [94424 + 72, 31],
    [94424 + 80, 32],
    [94424 + 88, 33],
    [119000, 1],
    [119008, 34],
    [119016, 35],
    [119024, 36],
    [119032, 37],
    [119040, 38],
    [119152, 39],
  ];
  for (const [at, value] of u64) {
    assert.equal(view.getBigUint64(at, true), BigInt(value), `at ${at}`);
  }
  for (const [at, value] of [[1036, 14], [94376, 2], [94380, 26], [94384, 27], [57496 + 140, 23]]) {
    assert.equal(view.getUint32(at, true), value, `at ${at}`);
  }
  for (let i = 0; i < 4; i++) {
    const base = [15152, 29264, 43376, 57488][i];
    assert.equal(view.getUint32(base, true), 300 + i);
    assert.equal(view.getUint16(base + 4, true), 400 + i);
    assert.equal(view.getUint16(base + 6, true), 500 + i);
  }
  assert.equal(view.getUint16(1032, true), 13);
  const bytes: [number, number][] = [
    [408, 5],
    [43384 + 440 + 16, 4],
    [43384 + 440 + 408, 5],
    [57496 + 72 + 64, 3],
    [57496, 20],
    [57496 + 32, 21],
    [75936 + 64, 1],
    [94400, 1],
    [94401, 1],
    [94416, 1],
    [119048, 1],
    [119049, 1],
  ];
  for (const [at, value] of bytes) assert.equal(data[at], value, `at ${at}`);
  for (const [at, text] of [[16, "name"], [80, "text"], [376, "run"], [119050, "v1"]] as const) {
    assert.deepEqual(data.subarray(at, at + text.length), ascii(text));
  }
});

Deno.test("every state is read back as it was", () => {
  const state = fullState();
  assert.deepEqual(decodeCoordinatorAccount(encodeCoordinatorAccount(state)), state);
  assert.equal(readCoordinatorNonce(encodeCoordinatorAccount(state)), 39n);
  fc.assert(
    fc.property(runs, (run) => {
      const configured = { ...state, ...run };
      assert.deepEqual(decodeCoordinatorAccount(encodeCoordinatorAccount(configured)), configured);
    }),
    { seed: seed() },
  );
});

Deno.test("padding and unused entries are not interpreted, nor is memory shared", () => {
  const state = fullState();
  state.model.checkpoint = { kind: "P2P", repo: { repoId: "a/b", revision: null } };
  const data = Buffer.from(encodeCoordinatorAccount(state));
  for (const at of [409, 420, 441, 569, 884, 1034, 94388, 94402, 94417, 119146, 57496 + 65]) {
    data[at] = 0xff;
  }
  data.fill(0xff, 57496 + 2 * 72, 75928);
  data.fill(0xff, 1048 + 440, 15128);
  const decoded = decodeCoordinatorAccount(data);
  data.fill(0xee);
  assert.deepEqual(decoded, state);
});

Deno.test("other accounts and impossible values are refused", () => {
  const valid = encodeCoordinatorAccount(fullState());
  refused(valid.subarray(1));
  refused(new Uint8Array(119072));
  refused(new Uint8Array(0));
  refused(valid.with(0, 0));
  refused(valid.with(8, 2));
  // Run state, enum tags of the model, option tags.
  for (const [at, value] of [[408, 8], [416, 1], [432, 4], [436, 6], [572, 2], [576, 6]]) {
    refused(valid.with(at, value));
  }
  for (const [at, value] of [[880, 4], [936, 3], [57496 + 64, 4]]) refused(valid.with(at, value));
  const hub = valid.with(436, 2);
  refused(hub.with(440, 2));
  const http = valid.with(576, 3);
  for (const [at, value] of [[580, 3], [840, 2], [844, 2]]) refused(http.with(at, value));
  // Lengths and the head of the ring.
  for (const at of [15128, 75928, 94368, 119000]) refused(valid.with(at + 7, 1));
  refused(valid.with(15128, 33));
  refused(valid.with(94376, 4));
});

Deno.test("damaged accounts never fail otherwise", () => {
  const valid = encodeCoordinatorAccount(fullState());
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255))), (changes) => {
      const damaged = valid.slice();
      for (const [at, value] of changes) damaged[at] = value;
      try {
        decodeCoordinatorAccount(damaged);
      } catch (error) {
        assert.ok(error instanceof PsycheError);
        assert.equal(error.code, "COORDINATOR_ACCOUNT_INVALID");
      }
    }),
    { seed: seed() },
  );
});

Deno.test("what does not fit the account is not written", () => {
  const long = fullState();
  long.metadata.name = "é".repeat(33);
  assert.throws(() => encodeCoordinatorAccount(long), { code: "TEXT_TOO_LONG" });
  const crowded = fullState();
  crowded.clientsState.clients = new Array(257).fill(crowded.clientsState.clients[0]);
  assert.throws(() => encodeCoordinatorAccount(crowded), { code: "LIST_TOO_LONG" });
});

Deno.test("a run of a few clients decodes in well under a millisecond", () => {
  const data = encodeCoordinatorAccount(fullState());
  for (let i = 0; i < 200; i++) decodeCoordinatorAccount(data);
  const times = Array.from({ length: 50 }, () => {
    const start = performance.now();
    decodeCoordinatorAccount(data);
    return performance.now() - start;
  });
  // The fastest, because other programs share the processor.
  assert.ok(Math.min(...times) < 1, `${Math.min(...times)} ms`);
});

Deno.test("the instance account", () => {
  const data = new Uint8Array(COORDINATOR_INSTANCE_SIZE);
  data.set(COORDINATOR_INSTANCE_DISCRIMINATOR);
  data[8] = 254;
  data.set(key(1), 9);
  data.set(key(2), 41);
  data.set(key(3), 73);
  data[105] = 4;
  data.set(ascii("test"), 109);
  assert.deepEqual(decodeCoordinatorInstance(data), {
    bump: 254,
    mainAuthority: key(1),
    joinAuthority: key(2),
    coordinatorAccount: key(3),
    runId: "test",
  });
  for (const broken of [data.subarray(1), data.with(0, 0), data.with(105, 33)]) {
    assert.throws(() => decodeCoordinatorInstance(broken), {
      code: "COORDINATOR_ACCOUNT_INVALID",
    });
  }
});
