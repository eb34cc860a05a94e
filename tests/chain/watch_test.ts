import assert from "node:assert/strict";
import { type Connection, PublicKey } from "@solana/web3.js";
import { PsycheError } from "../../lib/error.ts";
import { closeConnection, openConnection } from "../../lib/chain/connection.ts";
import { fetchCoordinator, fetchCoordinatorInstance } from "../../lib/chain/coordinator_reader.ts";
import { defaultProgramIds } from "../../lib/chain/programs.ts";
import { watchCoordinator, type WatchOptions } from "../../lib/chain/watch_coordinator.ts";
import { encodeCoordinatorAccount } from "../../lib/protocol/coordinator_account.ts";
import { emptyCoordinatorState } from "../../lib/protocol/empty_state.ts";
import { type FakeNode, startFakeNode } from "./fake_node.ts";

const address = new PublicKey(new Uint8Array(32).fill(9));

function account(nonce: bigint, clientVersion = "v1"): Uint8Array {
  return encodeCoordinatorAccount({ ...emptyCoordinatorState("test", clientVersion), nonce });
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, "waited too long");
    await new Promise((go) => setTimeout(go, 5));
  }
}

interface Watched {
  node: FakeNode;
  connection: Connection;
  seen: string[];
  problems: Error[];
  stop: AbortController;
  done: Promise<void>;
}

async function watched(options: Partial<WatchOptions>, test: (w: Watched) => Promise<void>) {
  const node = startFakeNode();
  node.set(account(1n), 10);
  const connection = openConnection(node);
  const stop = new AbortController();
  const seen: string[] = [];
  const problems: Error[] = [];
  const done = watchCoordinator(connection, address, {
    signal: stop.signal,
    pollMillis: 60_000,
    onState: ({ nonce, clientVersion }, slot) => seen.push(`${nonce} ${clientVersion} ${slot}`),
    onProblem: (error) => problems.push(error),
    ...options,
  });
  done.catch(() => {});
  try {
    await until(() => node.subscribers() === 1);
    await test({ node, connection, seen, problems, stop, done });
  } finally {
    stop.abort();
    await done.catch(() => {});
    await closeConnection(connection);
    await node.stop();
  }
}

Deno.test("only newer states are forwarded, each once, a new version at the same nonce too", () =>
  watched({}, async ({ node, seen, problems, stop, done }) => {
    for (const nonce of [1n, 2n, 2n, 1n, 3n]) node.notify(account(nonce), Number(nonce) + 10);
    node.notify(account(3n, "v2"), 20);
    node.notify(account(3n, "v2"), 21);
    node.notify(new Uint8Array(5), 22);
    node.notify(account(4n, "v2"), 23);
    await until(() => seen.length >= 5);
    assert.deepEqual(seen, ["1 v1 10", "2 v1 12", "3 v1 13", "3 v2 20", "4 v2 23"]);
    assert.equal(problems.length, 1);
    assert.match(problems[0].message, /5 bytes/);
    stop.abort();
    await done;
  }));

Deno.test("what happened while the socket was down is read after it is back", () =>
  watched({}, async ({ node, seen }) => {
    node.dropSockets();
    node.set(account(7n), 30); // nobody is told
    await until(() => seen.includes("7 v1 30"));
    await until(() => node.subscribers() === 1);
    node.notify(account(8n), 31);
    await until(() => seen.includes("8 v1 31"));
  }));

Deno.test("a silent socket is helped out by the poll, and then replaced", () =>
  watched({ pollMillis: 30 }, async ({ node, seen }) => {
    for (const nonce of [2n, 3n]) {
      node.set(account(nonce), Number(nonce));
      await until(() => seen.includes(`${nonce} v1 ${nonce}`));
    }
    await until(() => node.subscriptions() === 2);
  }));

Deno.test("when the first endpoint is dead, the fallback's socket tells", async () => {
  const node = startFakeNode();
  node.set(account(1n), 10);
  const dead = startFakeNode();
  await dead.stop();
  const connection = openConnection({ ...dead, fallbacks: [node] });
  const stop = new AbortController();
  const seen: bigint[] = [];
  const done = watchCoordinator(connection, address, {
    signal: stop.signal,
    pollMillis: 60_000,
    onState: ({ nonce }) => seen.push(nonce),
  });
  try {
    await until(() => node.subscribers() === 1);
    node.notify(account(2n), 11);
    await until(() => seen.includes(2n));
  } finally {
    stop.abort();
    await done;
    await closeConnection(connection);
    await node.stop();
  }
});

Deno.test("a closed run ends the watch with a sentence", () =>
  watched({ pollMillis: 30 }, async ({ node, done }) => {
    node.set(null, 40);
    await assert.rejects(
      done,
      (error: unknown) => error instanceof PsycheError && error.code === "RUN_CLOSED",
    );
  }));

Deno.test("an error of the listener ends the watch with that error", () => {
  const onState = ({ nonce }: { nonce: bigint }) => {
    if (nonce === 5n) throw new Error("listener");
  };
  return watched({ onState }, async ({ node, done }) => {
    node.notify(account(5n), 50);
    await assert.rejects(done, /listener/);
  });
});

Deno.test("an unknown run, and an account that is no run", async () => {
  const node = startFakeNode();
  const connection = openConnection(node);
  const code = (expected: string) => (error: unknown) =>
    error instanceof PsycheError && error.code === expected;
  try {
    await assert.rejects(
      fetchCoordinatorInstance(connection, defaultProgramIds(), "nowhere"),
      (error: unknown) => code("RUN_NOT_FOUND")(error) && /"nowhere".*localnet/.test(String(error)),
    );
    await assert.rejects(
      fetchCoordinator(connection, address),
      code("COORDINATOR_ACCOUNT_MISSING"),
    );
    node.set(new Uint8Array(119_160), 1);
    await assert.rejects(
      fetchCoordinator(connection, address),
      code("COORDINATOR_ACCOUNT_INVALID"),
    );
    node.set(account(6n), 2);
    const { state, slot } = await fetchCoordinator(connection, address);
    assert.deepEqual([state.nonce, slot], [6n, 2]);
  } finally {
    await closeConnection(connection);
    await node.stop();
  }
});
