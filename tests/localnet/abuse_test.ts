/** Clients that do everything wrong: each gets its error, and the localnet lives on. */
import assert from "node:assert/strict";
import { rawCall, within, withLocalnet } from "./localnet_client.ts";

// web3.js keeps its HTTP agent's sockets open: nothing of the localnet's.
const test = { sanitizeResources: false, sanitizeOps: false };

const KEY = "SysvarC1ock11111111111111111111111111111111";

Deno.test("abuse", test, async (t) => {
  await withLocalnet({}, async ({ localnet }) => {
    const { rpcUrl, wsUrl } = localnet;
    const post = (body: BodyInit) => fetch(rpcUrl, { method: "POST", body });
    const codeOf = async (method: string, ...params: unknown[]) =>
      (await rawCall(rpcUrl, method, ...params)).error?.code;

    await t.step("JSON-RPC errors", async () => {
      assert.equal((await (await post("{nonsense")).json()).error.code, -32700);
      assert.equal((await (await post("")).json()).error.code, -32700);
      for (const body of ["[]", "7", "null", '"text"', "{}", '{"method":5,"id":1}']) {
        assert.equal((await (await post(body)).json()).error.code, -32600, body);
      }
      for (
        const name of ["noSuchMethod", "constructor", "__proto__", "toString", "slotSubscribe"]
      ) {
        assert.equal(await codeOf(name), -32601, name);
      }
      const named = await post(JSON.stringify({ id: 1, method: "getBalance", params: { a: 1 } }));
      assert.equal((await named.json()).error.code, -32602);
    });

    await t.step("bad parameters", async () => {
      for (
        const [method, ...params] of [
          ["getBalance"],
          ["getBalance", 7],
          ["getBalance", "0OIl"],
          ["getBalance", "1".repeat(100_000)],
          ["getAccountInfo", KEY, "base64"],
          ["getAccountInfo", KEY, { encoding: "base1" }],
          ["getAccountInfo", KEY, { dataSlice: { offset: -1, length: 2 } }],
          ["getMultipleAccounts", Array(101).fill(KEY)],
          ["getProgramAccounts", KEY, { filters: [{ memcmp: { offset: 0, bytes: "0" } }] }],
          ["getProgramAccounts", KEY, { filters: Array(9).fill({ dataSize: 1 }) }],
          ["requestAirdrop", KEY, -5],
          ["requestAirdrop", KEY, 1.5],
          ["requestAirdrop", KEY, 1e30],
          ["getMinimumBalanceForRentExemption", "many"],
          ["getSignatureStatuses", ["short"]],
          ["getTransaction", KEY],
          ["getFeeForMessage", "AAAA"],
          ["sendTransaction", "!!!", { encoding: "base64" }],
          ["sendTransaction", "AAAA", { encoding: "base64" }],
          ["sendTransaction", "A".repeat(4000), { encoding: "base64" }],
          ["sendTransaction", "1".repeat(4000)],
          ["simulateTransaction", "AQ==", { encoding: "base64" }],
          ["simulateTransaction", "", { encoding: "base64" }],
          ["getBlocks", 0, -1],
          ["getSlotLeaders", 0, 1e9],
        ] as [string, ...unknown[]][]
      ) {
        assert.equal(await codeOf(method, ...params), -32602, `${method} ${params}`.slice(0, 80));
      }
      assert.equal(await codeOf("requestAirdrop", KEY, Number.MAX_SAFE_INTEGER * 100), -32602);
      assert.equal(await codeOf("getBlock", 1e9), -32004);
      assert.equal(await codeOf("getBlockTime", 1e9), -32004);
    });

    await t.step("oversize bodies, batches and wrong verbs", async () => {
      const large = await post("x".repeat(300_000));
      assert.equal(large.status, 413);
      await large.body?.cancel();
      const endless = new ReadableStream({ pull: (it) => it.enqueue(new Uint8Array(65_536)) });
      const refused = await post(endless).then((it) => it.status, () => 413);
      assert.equal(refused, 413);
      const call = { jsonrpc: "2.0", id: 1, method: "getSlot" };
      const many = await (await post(JSON.stringify(Array(101).fill(call)))).json();
      assert.equal(many.error.code, -32600);
      const some = await (await post(JSON.stringify([call, { ...call, method: "no" }, 7]))).json();
      assert.deepEqual(
        some.map((it: { error?: { code: number } }) => it.error?.code),
        [undefined, -32601, -32600],
      );
      for (const method of ["GET", "PUT", "DELETE"]) {
        const response = await fetch(rpcUrl, { method });
        assert.equal(response.status, 405);
        await response.body?.cancel();
      }
      assert.equal((await fetch(rpcUrl, { method: "OPTIONS" })).status, 204);
    });

    await t.step("websockets: junk, limits, late unsubscribe, sudden end", async () => {
      const socket = new WebSocket(wsUrl);
      await new Promise((resolve) => socket.onopen = resolve);
      const answers: { id: number; result?: unknown; error?: { code: number } }[] = [];
      let wake = (): void => {};
      socket.onmessage = ({ data }) => {
        answers.push(JSON.parse(data));
        wake();
      };
      const ask = async (body: unknown) => {
        const count = answers.length;
        const came = new Promise<void>((resolve) => wake = resolve);
        socket.send(typeof body === "string" ? body : JSON.stringify(body));
        await within(5000, "answer", came);
        return answers[count];
      };
      assert.equal((await ask("{")).error?.code, -32700);
      assert.equal((await ask({ id: 1, method: "nothing" })).error?.code, -32601);
      assert.equal(
        (await ask({ id: 1, method: "accountSubscribe", params: ["x"] })).error?.code,
        -32602,
      );
      assert.equal(
        (await ask({ id: 1, method: "signatureUnsubscribe", params: [999] })).result,
        true,
      );
      assert.equal(typeof (await ask({ id: 1, method: "getSlot" })).result, "number");
      socket.send(JSON.stringify({ method: "ping" }));
      socket.send(JSON.stringify({ method: "ping", params: null }));
      let refused = 0;
      for (let i = 0; i < 1010; i++) {
        const { error } = await ask({ id: i, method: "accountSubscribe", params: [KEY] });
        if (error) refused++;
      }
      assert.equal(refused, 10);
      socket.send("x".repeat(300_000));
      await within(5000, "close", new Promise((resolve) => socket.onclose = resolve));
    });

    await t.step("and it still works", async () => {
      assert.equal((await rawCall(rpcUrl, "getHealth")).result, "ok");
      const { result } = await rawCall(rpcUrl, "requestAirdrop", KEY.replace("C", "D"), 1e9);
      assert.equal(typeof result, "string");
    });
  });
});
