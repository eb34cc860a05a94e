import assert from "node:assert/strict";
import { toBase58 } from "./base58.ts";
import { dispatch } from "./rpc.ts";
import { createLocalnet } from "./start.ts";

Deno.test("answers stay bounded, single and in batches", () => {
  const { node, find } = createLocalnet();
  const key = new Uint8Array(32).fill(3);
  const size = 10 * 1024 * 1024;
  node.svm.setAccount(key, {
    lamports: node.svm.rentExemption(size),
    data: new Uint8Array(size),
    owner: new Uint8Array(32).fill(4),
    executable: false,
    rentEpoch: 0n,
  });
  const address = toBase58(key);
  const request = (method: string, ...params: unknown[]) => ({ id: 1, method, params });
  const send = (body: unknown) => JSON.parse(dispatch(find, JSON.stringify(body))!);
  const base64 = { encoding: "base64" };
  assert.equal(send(request("getAccountInfo", address, base64)).result.value.space, size);
  const many = send(request("getMultipleAccounts", Array(100).fill(address), base64));
  assert.equal(many.error.code, -32600);
  const batch = send(Array(8).fill(request("getAccountInfo", address, base64)));
  assert.deepEqual(
    batch.map((it: { error?: unknown }) => it.error !== undefined),
    [false, false, false, false, true, true, true, true],
  );
});

Deno.test("u64 values beyond a double are written exactly", () => {
  const { node, find } = createLocalnet();
  const text = dispatch(
    find,
    JSON.stringify({ id: 1, method: "getBalance", params: [toBase58(node.faucet.key)] }),
  );
  assert.match(text!, /"value":400000000000000000[,}]/);
});

Deno.test("a notification is never answered, wrong or right", () => {
  const { find } = createLocalnet();
  assert.equal(dispatch(find, '{"method":"ping"}'), undefined);
  assert.equal(dispatch(find, '[{"method":"getSlot"},{"method":"ping"}]'), undefined);
});
