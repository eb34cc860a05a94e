import assert from "node:assert/strict";
import { createSigner } from "../p2p/signing.ts";
import { assignBatches } from "../protocol/assignment.ts";
import {
  type BatchId,
  ClientState,
  type CoordinatorState,
  RunState,
} from "../protocol/coordinator_state.ts";
import { configuredRun } from "../protocol/state_fixture.ts";
import type { DataProvider } from "../trainer/data/data_provider.ts";
import { encodeRequest, signedRequest } from "../trainer/data/data_server_messages.ts";
import { decodeGreeting } from "../trainer/data/data_server_messages.ts";
import { serverProvider } from "../trainer/data/server_provider.ts";
import { TcpFrames } from "../trainer/data/tcp_frames.ts";
import type { Answered } from "./conversation.ts";
import { RunStates } from "./run_states.ts";
import { type DataServer, type DataServerOptions, serveData } from "./serve_data.ts";

const LENGTH = 64;
const signers = [1, 2, 3].map((byte) => createSigner(new Uint8Array(32).fill(byte)));
const stranger = createSigner(new Uint8Array(32).fill(99));

/** Sequences that hold their own index. */
const numbered: DataProvider = {
  sequences: 1000,
  sequenceLength: LENGTH,
  read: ({ start, end }) =>
    Promise.resolve({
      tokens: Int32Array.from(
        { length: Number(end - start + 1n) * LENGTH },
        (_, i) => Number(start) + Math.floor(i / LENGTH),
      ),
    }),
};

/** A run in training with a member for each signer, and the data at `address`. */
function trainingRun(address: string, dataIndex = 0n, members = signers): CoordinatorState {
  const state = configuredRun({ globalBatchSizeStart: 9, globalBatchSizeEnd: 9, witnessNodes: 0 });
  state.runState = RunState.RoundTrain;
  state.model.dataLocation = { kind: "Server", address };
  state.epochState.clients = members.map(({ publicKey }) => ({
    id: { signer: publicKey, p2pIdentity: publicKey },
    state: ClientState.Healthy,
    exitedHeight: 0,
  }));
  Object.assign(state.epochState.rounds[0], {
    clientsLen: members.length,
    randomSeed: 42n,
    dataIndex,
  });
  return state;
}

function batchOf(state: CoordinatorState, member: number): BatchId {
  return assignBatches(state).find(({ clientIndex }) => clientIndex === member)!.batchId;
}

interface Scene {
  server: DataServer;
  address: string;
  states: RunStates;
  answers: Answered[];
  problems: unknown[];
}

async function serving(
  use: (scene: Scene) => Promise<void>,
  options: Partial<DataServerOptions> = {},
): Promise<void> {
  const answers: Answered[] = [];
  const problems: unknown[] = [];
  const states = new RunStates(trainingRun(""));
  const server = serveData({
    data: numbered,
    runId: "trace",
    states,
    host: "127.0.0.1",
    port: 0,
    stallMs: 2000,
    patienceMs: 40,
    onAnswer: (answered) => answers.push(answered),
    onProblem: (error) => problems.push(error),
    ...options,
  });
  const address = `127.0.0.1:${server.port}`;
  states.put(trainingRun(address));
  try {
    await use({ server, address, states, answers, problems });
  } finally {
    await server.close();
  }
}

const quick = { retries: 0, pause: () => 0 };
const open = (address: string, signer = signers[0], options: object = quick, runId = "trace") =>
  serverProvider(address, { sequenceLength: LENGTH }, { runId, ...signer }, options);

Deno.test("each member gets the batch that is its own, and no other", () =>
  serving(async ({ address, states, answers }) => {
    for (const [member, signer] of signers.entries()) {
      const data = await open(address, signer);
      assert.deepEqual([data.sequences, data.sequenceLength], [1000, LENGTH]);
      const own = batchOf(states.current, member);
      assert.deepEqual(await data.read(own), await numbered.read(own));
      const other = batchOf(states.current, (member + 1) % 3);
      await assert.rejects(data.read(other), /WrongDataIdForStep/);
      await assert.rejects(data.read({ start: own.start, end: own.end + 1n }), /WrongDataId/);
      await assert.rejects(data.read({ start: 990n, end: 1000n }), { code: "DATA_BATCH_INVALID" });
    }
    assert.deepEqual(answers.slice(0, 3).map(({ outcome }) => outcome), [
      "sent",
      "WrongDataIdForStep",
      "WrongDataIdForStep",
    ]);
    assert.equal(answers[0].client, signers[0].publicKey.toHex());
  }));

Deno.test("strangers, other runs and other addresses get nothing", () =>
  serving(async ({ address, states }) => {
    const own = batchOf(states.current, 0);
    await assert.rejects((await open(address, stranger)).read(own), /NotAMember/);
    // A stranger with a member's key in hand still needs its signature.
    const thief = { ...stranger, publicKey: signers[0].publicKey };
    await assert.rejects((await open(address, thief)).read(own), /SignatureInvalid/);
    const invalid = { code: "DATA_LOCATION_INVALID" };
    await assert.rejects(open(address, signers[0], quick, "other"), invalid);
    const format = { sequenceLength: LENGTH + 1 };
    const client = { runId: "trace", ...signers[0] };
    await assert.rejects(serverProvider(address, format, client, quick), invalid);
    for (const text of ["", "host", "host:0", "host:70000", "a b:1", "http://h:1", "::1:5"]) {
      await assert.rejects(open(text), invalid, text);
    }
    // Dialled by another name than the one on chain: the signature may be meant for another server.
    states.put(trainingRun("elsewhere:1"));
    await assert.rejects((await open(address)).read(own), /SignatureInvalid/);
  }));

Deno.test("who joined for the next epoch is known but has nothing to train", () =>
  serving(async ({ address, states }) => {
    const state = trainingRun(address, 0n, signers.slice(0, 2));
    state.clientsState.nextActive = 7n;
    state.clientsState.clients = [{
      id: { signer: signers[2].publicKey, p2pIdentity: signers[2].publicKey },
      active: 7n,
      earned: 0n,
      slashed: 0n,
    }];
    states.put(state);
    const data = await open(address, signers[2]);
    await assert.rejects(data.read(batchOf(state, 0)), /NotInThisRound/);
    states.put({ ...trainingRun(address), runState: RunState.Warmup });
    await assert.rejects((await open(address)).read(batchOf(state, 0)), /NotInThisRound/);
  }));

Deno.test("a client that sees the round first is waited for", () =>
  serving(async ({ address, states }) => {
    const next = trainingRun(address, 9n);
    const reading = (await open(address)).read(batchOf(next, 0));
    await new Promise((resolve) => setTimeout(resolve, 30));
    states.put(next);
    assert.deepEqual(await reading, await numbered.read(batchOf(next, 0)));
  }, { patienceMs: 5000 }));

Deno.test("a server that comes late, or cannot read, is asked again", async () => {
  let port = 0;
  await serving(({ server }) => {
    port = server.port;
    return Promise.resolve();
  });
  const retries: string[] = [];
  let failures = 2;
  const options = {
    pause: () => 100,
    onRetry: (error: Error) => retries.push(error.message),
  };
  const opening = open(`127.0.0.1:${port}`, signers[0], options);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await serving(async ({ states, address, answers }) => {
    const data = await opening;
    assert.ok(retries.length > 0 && /gives no data/.test(retries[0]), retries[0]);
    retries.length = 0;
    const own = batchOf(states.current, 0);
    assert.deepEqual(await data.read(own), await numbered.read(own));
    assert.equal(retries.filter((text) => /DataUnavailable/.test(text)).length, 2);
    assert.match((answers[0].error as Error).message, /disk/);
    assert.equal(address, `127.0.0.1:${port}`);
  }, {
    port,
    data: {
      ...numbered,
      read: (batch) => failures-- > 0 ? Promise.reject(new Error("no disk")) : numbered.read(batch),
    },
  });
  await assert.rejects(
    open(`127.0.0.1:${port}`),
    (error: Error & { code: string }) => error.code === "DATA_UNAVAILABLE",
  );
});

Deno.test("labels, positions and packed texts arrive as they are", () => {
  const samples = {
    tokens: new Int32Array(3 * LENGTH).fill(5),
    labels: new Int32Array(3 * LENGTH).fill(-100),
    positionIds: Int32Array.from({ length: 3 * LENGTH }, (_, i) => i % 7),
    sequenceLengths: [[LENGTH], [1, LENGTH - 1], [30, 34]],
  };
  return serving(async ({ address, states }) => {
    const data = await open(address);
    assert.equal(data.sequences, Infinity);
    assert.deepEqual(await data.read(batchOf(states.current, 0)), samples);
  }, {
    data: { sequences: Infinity, sequenceLength: LENGTH, read: () => Promise.resolve(samples) },
    onAnswer: undefined,
  });
});

Deno.test("a whole epoch of clients asks at once", () => {
  const many = Array.from({ length: 80 }, (_, i) => createSigner(new Uint8Array(32).fill(i + 1)));
  return serving(async ({ address, states, answers, problems }) => {
    const state = trainingRun(address, 0n, many);
    state.config.globalBatchSizeStart = state.config.globalBatchSizeEnd = 160;
    states.put(state);
    const clients = await Promise.all(many.map((signer) => open(address, signer)));
    await Promise.all(
      assignBatches(state).map(async ({ clientIndex, batchId }) => {
        assert.deepEqual(await clients[clientIndex].read(batchId), await numbered.read(batchId));
      }),
    );
    // The server hears of the end of a conversation after the client; 80 only looked at the greeting.
    while (answers.length < 80 || problems.length < 80) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.ok(answers.every(({ outcome }) => outcome === "sent"));
    assert.deepEqual([answers.length, problems.length], [80, 80]);
  });
});

Deno.test("hostile visitors are got rid of while members are served", () =>
  serving(async ({ server, address, states, problems }) => {
    const target = { hostname: "127.0.0.1", port: server.port };
    const visits: Deno.TcpConn[] = [];
    const visit = async (bytes: Uint8Array) => {
      const connection = await Deno.connect(target);
      visits.push(connection);
      await connection.write(bytes).catch(() => {});
    };
    for (let i = 0; i < 20; i++) {
      await visit(crypto.getRandomValues(new Uint8Array(1 + 13 * i)));
      await visit(Uint8Array.of(255, 255, 255, 255));
      await visit(Uint8Array.of(0, 0, 0, 1, 7));
      // Half a header and silence.
      await visit(Uint8Array.of(0, 0));
    }
    (await Deno.connect(target)).close();
    const own = batchOf(states.current, 0);
    assert.deepEqual(await (await open(address)).read(own), await numbered.read(own));
    // A request that is signed for one challenge is worth nothing with another.
    const frames = new TcpFrames(await Deno.connect(target));
    const greeting = decodeGreeting(await frames.read(256, { stallMs: 1000 }));
    const request = { batch: own, publicKey: signers[0].publicKey };
    const text = signedRequest({ ...greeting, challenge: new Uint8Array(32) }, address, request);
    const replayed = encodeRequest({ ...request, signature: signers[0].sign(text) });
    await frames.send(replayed, { stallMs: 1000 });
    const answer = await frames.read(64, { stallMs: 1000 });
    assert.equal(answer.at(-1), 3); // SignatureInvalid
    frames.close();
    // The silent ones run into the time limit.
    await Promise.all(visits.map(async (connection) => {
      const sink = new Uint8Array(4096);
      while (await connection.read(sink).catch(() => null) !== null);
      connection.close();
    }));
    assert.ok(problems.length >= 60, String(problems.length));
  }, { stallMs: 300 }));

Deno.test("who holds all connections in silence keeps nobody out", () =>
  serving(async ({ server, address, states, problems }) => {
    const silent = await Promise.all(
      Array.from(
        { length: 30 },
        () => Deno.connect({ hostname: "127.0.0.1", port: server.port }),
      ),
    );
    const own = batchOf(states.current, 0);
    const data = await open(address);
    for (let i = 0; i < 5; i++) assert.deepEqual(await data.read(own), await numbered.read(own));
    assert.ok(problems.length >= 10, String(problems.length));
    silent.forEach((connection) => connection.close());
  }, { maxConnections: 20, stallMs: 60_000 }));

Deno.test("a client that takes nothing is given up, its next request comes first", () => {
  // Far more than the system buffers on the way.
  let reads = 0;
  const large: DataProvider = {
    sequences: Infinity,
    sequenceLength: LENGTH,
    read() {
      reads++;
      return Promise.resolve({ tokens: new Int32Array(1 << 22) });
    },
  };
  return serving(async ({ server, address, states, problems, answers }) => {
    const own = batchOf(states.current, 0);
    const slow = async () => {
      const frames = new TcpFrames(
        await Deno.connect({ hostname: "127.0.0.1", port: server.port }),
      );
      const greeting = decodeGreeting(await frames.read(256, { stallMs: 1000 }));
      const request = { batch: own, publicKey: signers[0].publicKey };
      const signature = signers[0].sign(signedRequest(greeting, address, request));
      await frames.send(encodeRequest({ ...request, signature }), { stallMs: 1000 });
      return frames;
    };
    const problem = async (count: number, message: RegExp) => {
      while (problems.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.match((problems[count - 1] as Error).message, message);
    };
    const first = await slow();
    await problem(1, /nothing moved for 300 ms/);
    first.close();
    const second = await slow();
    while (reads < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    const third = await slow();
    await problem(2, /asked again/);
    second.close();
    third.close();
    assert.deepEqual(answers, []);
  }, { stallMs: 300, data: large });
});

Deno.test("closing ends conversations of every kind", async () => {
  const held: Deno.TcpConn[] = [];
  let reading: Promise<unknown> = Promise.resolve();
  await serving(async ({ server, address, states }) => {
    for (let i = 0; i < 5; i++) {
      held.push(await Deno.connect({ hostname: "127.0.0.1", port: server.port }));
    }
    const data = await open(address);
    // Waits for a round that never comes.
    reading = data.read({ start: 500n, end: 501n }).catch((error) => error);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.throws(
      () => serveData({ data: numbered, runId: "", states, host: "127.0.0.1", port: server.port }),
      { code: "DATA_SERVER_PORT" },
    );
  }, { patienceMs: 60_000, stallMs: 60_000 });
  assert.equal((await reading as { code: string }).code, "DATA_UNAVAILABLE");
  held.forEach((connection) => connection.close());
});
