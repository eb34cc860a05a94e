import assert from "node:assert/strict";
import fc from "fast-check";
import { Keypair } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import { openConnection } from "./connection.ts";
import { createFailoverFetch } from "./failover_fetch.ts";

type Behaviour = "ok" | "429" | "503" | "dropped" | "silent" | "html" | "behind" | "401";

/** A network whose endpoints behave as told, call by call; the last behaviour stays. */
function network(script: Record<string, Behaviour[]>) {
  const calls: string[] = [];
  const played: Record<string, number> = {};
  const fetch = (url: string, init: RequestInit): Promise<Response> => {
    const { host } = new URL(url);
    calls.push(host);
    const turn = played[host] = (played[host] ?? -1) + 1;
    const behaviour = script[host][Math.min(turn, script[host].length - 1)];
    switch (behaviour) {
      case "ok": {
        const { id } = JSON.parse(String(init.body ?? "{}"));
        return Promise.resolve(Response.json({ jsonrpc: "2.0", id, result: 42 }));
      }
      case "429":
      case "503":
        return Promise.resolve(
          new Response("slow down", { status: Number(behaviour), headers: { "retry-after": "1" } }),
        );
      case "401":
        return Promise.resolve(new Response("who are you", { status: 401 }));
      case "dropped":
        return Promise.reject(new TypeError("connection reset"));
      case "html":
        return Promise.resolve(new Response("<html>", { status: 200 }));
      case "behind":
        return Promise.resolve(
          Response.json({ id: 1, error: { code: -32005, message: "behind" } }),
        );
      case "silent":
        return new Promise((_, reject) =>
          init.signal!.addEventListener("abort", () => reject(init.signal!.reason))
        );
    }
  };
  return { fetch, calls };
}

const fast = { timeoutMillis: 50, pauseMillis: 1 };
const post = { method: "POST", body: '{"id":7}' };

async function failure(promise: Promise<unknown>): Promise<PsycheError> {
  const error = await promise.then(() => undefined, (error) => error);
  assert.ok(error instanceof PsycheError, String(error));
  return error;
}

Deno.test("the preferred endpoint answers: no other is asked", async () => {
  const { fetch, calls } = network({ a: ["ok"], b: ["ok"] });
  const failover = createFailoverFetch({ urls: ["http://a", "http://b"], fetch, ...fast });
  for (let i = 0; i < 3; i++) assert.equal((await (await failover("", post)).json()).result, 42);
  assert.deepEqual(calls, ["a", "a", "a"]);
});

for (const fault of ["429", "503", "dropped", "silent", "html", "behind", "401"] as const) {
  Deno.test(`${fault}: the next endpoint answers, and the failing one is remembered`, async () => {
    const { fetch, calls } = network({ a: [fault], b: ["ok"] });
    const moves: string[] = [];
    const failover = createFailoverFetch({
      urls: ["http://a/SECRETSECRETSECRET", "http://b"],
      fetch,
      ...fast,
      pauseMillis: 5000,
      onFailover: ({ from, to }) => moves.push(`${from} ${to}`),
    });
    for (let i = 0; i < 3; i++) assert.equal((await failover("", post)).status, 200);
    assert.deepEqual(calls, ["a", "b", "b", "b"]);
    assert.deepEqual(moves, ["http://a/*** http://b"]);
  });
}

Deno.test("an endpoint that recovers is preferred again", async () => {
  const { fetch, calls } = network({ a: ["dropped", "ok"], b: ["ok"] });
  const failover = createFailoverFetch({ urls: ["http://a", "http://b"], fetch, ...fast });
  await failover("", post);
  await new Promise((go) => setTimeout(go, 10));
  await failover("", post);
  assert.deepEqual(calls, ["a", "b", "a"]);
});

Deno.test("Retry-After is waited for", async () => {
  const { fetch } = network({ a: ["429", "ok"] });
  const failover = createFailoverFetch({ urls: ["http://a"], fetch, ...fast });
  const started = performance.now();
  await failover("", post);
  assert.ok(performance.now() - started >= 990);
});

Deno.test("a dead endpoint does not make later calls slower and slower", async () => {
  const { fetch } = network({ a: ["dropped"] });
  const failover = createFailoverFetch({ urls: ["http://a"], fetch, pauseMillis: 10 });
  const started = performance.now();
  for (let i = 0; i < 5; i++) await failure(failover("", post));
  assert.ok(performance.now() - started < 5 * (10 + 20 + 40) + 500);
});

Deno.test("when nothing answers, one sentence says so, without keys", async () => {
  const cases: [Behaviour, string, number][] = [
    ["dropped", "RPC_UNREACHABLE", 4],
    ["silent", "RPC_UNREACHABLE", 4],
    ["html", "RPC_UNREACHABLE", 4],
    ["401", "RPC_REFUSED", 1],
  ];
  for (const [fault, code, attempts] of cases) {
    const { fetch, calls } = network({ a: [fault] });
    const urls = ["http://user:SECRET@a/?key=SECRET"];
    const error = await failure(createFailoverFetch({ urls, fetch, ...fast })("", post));
    assert.equal(error.code, code);
    assert.ok(!error.message.includes("SECRET"));
    assert.equal(calls.length, attempts);
  }
});

Deno.test("an abort ends requests and pauses at once", async () => {
  for (const behaviour of ["silent", "dropped"] as const) {
    const { fetch } = network({ a: [behaviour] });
    const stop = new AbortController();
    const options = { urls: ["http://a"], fetch, signal: stop.signal, pauseMillis: 60_000 };
    const promise = createFailoverFetch(options)("", post);
    setTimeout(() => stop.abort(new Error("enough")), 10);
    await assert.rejects(promise, /enough/);
  }
});

Deno.test("web3.js on top: answers come through, errors keep their sentence", async () => {
  const { fetch } = network({ a: ["dropped", "html", "dropped"], b: ["503", "ok"] });
  const connection = openConnection({
    rpcUrl: "http://a",
    fallbacks: [{ rpcUrl: "http://b" }],
    fetch,
    timeoutMillis: 50,
  });
  assert.equal(await connection.getTransactionCount(), 42);
  const dead = openConnection({ rpcUrl: "http://a", fetch, timeoutMillis: 50 });
  for (
    const call of [
      dead.getBalance(Keypair.generate().publicKey),
      dead.getAccountInfo(Keypair.generate().publicKey),
      dead.getLatestBlockhash(),
      dead.getSlot(),
    ]
  ) assert.equal((await failure(call)).code, "RPC_UNREACHABLE");
});

Deno.test("whatever the faults, a call is answered as long as one attempt can succeed", async () => {
  const faults = fc.constantFrom<Behaviour>("dropped", "silent", "html", "behind");
  const seed = Date.now() & 0x7fffffff;
  console.log(`seed ${seed}`);
  const property = fc.asyncProperty(
    fc.array(faults, { maxLength: 3 }),
    fc.array(faults, { maxLength: 3 }),
    async (a, b) => {
      const { fetch } = network({ a: [...a, "ok"], b: [...b, "ok"] });
      const options = { urls: ["http://a", "http://b"], fetch, timeoutMillis: 5, pauseMillis: 1 };
      const failover = createFailoverFetch(options);
      for (let i = 0; i < 5; i++) assert.equal((await failover("", post)).status, 200);
    },
  );
  await fc.assert(property, { seed, numRuns: 30 });
});
