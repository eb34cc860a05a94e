import assert from "node:assert/strict";
import { Keypair, SystemProgram } from "@solana/web3.js";
import { PsycheError } from "../../lib/error.ts";
import { closeConnection, openConnection } from "../../lib/chain/connection.ts";
import { sendInstructions } from "../../lib/chain/send.ts";
import { withLocalnet } from "./chain_test_support.ts";

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

const methodOf = (init: RequestInit) => JSON.parse(String(init.body)).method as string;

Deno.test("a transaction survives a bad network and runs exactly once", async (t) => {
  await withLocalnet({}, async ({ localnet, wallet, connection: good }) => {
    /** Send 1000 lamports to a new address over a network that misbehaves; returns what arrived. */
    const sendOver = async (
      bad: (url: string, init: RequestInit, pass: Fetch) => Promise<Response>,
    ) => {
      const pass: Fetch = (url, init) => fetch(url, init);
      const connection = openConnection({
        ...localnet,
        timeoutMillis: 2000,
        fetch: (url, init) => bad(url, init, pass),
      });
      const receiver = Keypair.generate().publicKey;
      try {
        const result = await sendInstructions({
          connection,
          payer: wallet,
          label: "Transfer",
          instructions: [
            SystemProgram.transfer({
              fromPubkey: wallet.publicKey,
              toPubkey: receiver,
              lamports: 1_000_000,
            }),
          ],
        });
        return { arrived: await good.getBalance(receiver), result };
      } finally {
        await closeConnection(connection);
      }
    };

    await t.step("every answer to a send is lost", async () => {
      let lost = 0;
      const { arrived } = await sendOver(async (url, init, pass) => {
        const response = await pass(url, init);
        if (methodOf(init) !== "sendTransaction" || lost++ > 2) return response;
        await response.body?.cancel();
        throw new TypeError("connection reset");
      });
      assert.equal(arrived, 1_000_000);
      assert.ok(lost >= 3);
    });

    await t.step("each request arrives twice", async () => {
      const { arrived } = await sendOver(async (url, init, pass) => {
        const [first, second] = await Promise.all([pass(url, init), pass(url, init)]);
        await first.body?.cancel();
        return second;
      });
      assert.equal(arrived, 1_000_000);
    });

    await t.step("one request in three is refused with 429 or 503", async () => {
      let count = 0;
      const { arrived } = await sendOver((url, init, pass) => {
        count++;
        if (count % 3 !== 0) return pass(url, init);
        return Promise.resolve(new Response("busy", { status: count % 2 ? 429 : 503 }));
      });
      assert.equal(arrived, 1_000_000);
    });

    await t.step(
      "the first broadcasts get lost on the way: the same bytes go out again",
      async () => {
        const bodies = new Set<string>();
        let sends = 0;
        const { arrived } = await sendOver((url, init, pass) => {
          if (methodOf(init) !== "sendTransaction") return pass(url, init);
          bodies.add(JSON.parse(String(init.body)).params[0]);
          if (++sends > 1) return pass(url, init);
          const { id } = JSON.parse(String(init.body));
          return Promise.resolve(Response.json({ jsonrpc: "2.0", id, result: "swallowed" }));
        });
        assert.equal(arrived, 1_000_000);
        assert.equal(bodies.size, 1);
        assert.equal(sends, 2);
      },
    );

    await t.step("an expired transaction is signed anew, and only then", async () => {
      const bodies = new Set<string>();
      const { arrived } = await sendOver(async (url, init, pass) => {
        const { id, method, params } = JSON.parse(String(init.body));
        if (method === "sendTransaction") {
          bodies.add(params[0]);
          if (bodies.size > 1) return await pass(url, init);
          return Response.json({ jsonrpc: "2.0", id, result: "swallowed" });
        }
        if (method === "getBlockHeight") return Response.json({ jsonrpc: "2.0", id, result: 1e9 });
        return await pass(url, init);
      });
      assert.equal(arrived, 1_000_000);
      assert.equal(bodies.size, 2);
    });

    await t.step("the cluster is away for some seconds in the middle", async () => {
      let away = 0;
      const { arrived } = await sendOver((url, init, pass) => {
        if (methodOf(init) === "sendTransaction") away ||= Date.now();
        if (away && Date.now() - away < 3000) return Promise.reject(new TypeError("refused"));
        return pass(url, init);
      });
      assert.equal(arrived, 1_000_000);
    });

    await t.step("a cluster that is gone is named", async () => {
      const error = await sendOver(() => Promise.reject(new TypeError("refused"))).catch((e) => e);
      assert.ok(error instanceof PsycheError);
      assert.equal(error.code, "RPC_UNREACHABLE");
    });
  });
});
