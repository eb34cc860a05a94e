import assert from "node:assert/strict";
import { PsycheError } from "../error.ts";
import { clusterName, redactUrl, resolveEndpoint } from "./endpoint.ts";

Deno.test("monikers, ports and quotes", () => {
  const cases: [string, string | undefined, string, string][] = [
    ["localnet", undefined, "http://127.0.0.1:8899/", "ws://127.0.0.1:8900/"],
    ["devnet", undefined, "https://api.devnet.solana.com/", "wss://api.devnet.solana.com/"],
    ['"http://h:1000"', undefined, "http://h:1000/", "ws://h:1001/"],
    ["https://h/p?api-key=k", undefined, "https://h/p?api-key=k", "wss://h/p?api-key=k"],
    ["http://h:1", '"ws://w:5"', "http://h:1/", "ws://w:5/"],
    ["http://h:1", "", "http://h:1/", "ws://h:2/"],
  ];
  for (const [rpc, ws, rpcUrl, wsUrl] of cases) {
    assert.deepEqual(resolveEndpoint(rpc, ws), { rpcUrl, wsUrl });
  }
  assert.equal(clusterName("http://127.0.0.1:1234"), "localnet");
  assert.equal(clusterName(resolveEndpoint("mainnet").rpcUrl), "mainnet");
});

Deno.test("what is no address is refused without showing secrets", () => {
  for (const text of ["", "devnett", "ws://h", "ftp://user:SECRET@h/?key=SECRET"]) {
    assert.throws(
      () => resolveEndpoint(text),
      (error: unknown) =>
        error instanceof PsycheError && error.code === "RPC_URL_INVALID" &&
        !error.message.includes("SECRET"),
    );
  }
});

Deno.test("redacted URLs keep the host and lose the keys", () => {
  assert.equal(
    redactUrl("https://user:SECRET@rpc.example.com/v2/0123456789abcdefSECRET?api-key=SECRET&x=1"),
    "https://***@rpc.example.com/v2/***?api-key=***&x=***",
  );
  assert.equal(redactUrl("http://127.0.0.1:8899/"), "http://127.0.0.1:8899");
  assert.equal(redactUrl("SECRET"), "(not a URL)");
});
