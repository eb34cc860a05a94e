/** Files served beside the RPC. */
import assert from "node:assert/strict";
import { rawCall, withLocalnet } from "./localnet_client.ts";

const test = { sanitizeResources: false, sanitizeOps: false }; // web3.js keeps its agent's sockets

Deno.test("served folders: whole files, ranges, HEAD, and no way out", test, async () => {
  const root = await Deno.makeTempDir();
  try {
    const folder = `${root}/data`;
    await Deno.mkdir(`${folder}/deep`, { recursive: true });
    const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7 % 251);
    await Deno.writeFile(`${folder}/deep/train.bin`, bytes);
    await Deno.writeFile(`${folder}/empty`, new Uint8Array());
    await Deno.writeTextFile(`${root}/secret`, "no");
    await Deno.symlink(`${root}/secret`, `${folder}/link`);
    await withLocalnet({ serve: [{ name: "data", folder }] }, async ({ localnet }) => {
      const url = `${localnet.rpcUrl}/data/deep/train.bin`;
      const get = async (target: string, range?: string, method = "GET") => {
        const response = await fetch(target, { method, headers: range ? { range } : {} });
        return { response, body: new Uint8Array(await response.arrayBuffer()) };
      };
      const whole = await get(url);
      assert.equal(whole.response.status, 200);
      assert.deepEqual(whole.body, bytes);
      const head = await get(url, undefined, "HEAD");
      assert.equal(head.response.headers.get("content-length"), "300000");
      assert.equal(head.response.headers.get("accept-ranges"), "bytes");
      for (
        const [range, from, to] of [
          ["bytes=0-0", 0, 1],
          ["bytes=1000-1999", 1000, 2000],
          ["bytes=299990-", 299_990, 300_000],
          ["bytes=-5", 299_995, 300_000],
          ["bytes=299999-999999", 299_999, 300_000],
          ["bytes=100000-250000", 100_000, 250_001],
        ] as const
      ) {
        const { response, body } = await get(url, range);
        assert.equal(response.status, 206, range);
        assert.equal(response.headers.get("content-range"), `bytes ${from}-${to - 1}/300000`);
        assert.equal(response.headers.get("content-length"), String(to - from));
        assert.deepEqual(body, bytes.slice(from, to));
      }
      const beyond = await get(url, "bytes=300000-");
      assert.equal(beyond.response.status, 416);
      assert.equal(beyond.response.headers.get("content-range"), "bytes */300000");
      assert.equal((await get(`${localnet.rpcUrl}/data/empty`)).body.length, 0);
      for (
        const path of [
          "/data/missing",
          "/data/deep",
          "/data/link",
          "/data/..%2Fsecret",
          "/data/deep%2F..%2F..%2Fsecret",
          "/data/%2E%2E/secret",
          "/data//etc/passwd",
          "/data/%zz",
          "/data/deep%00",
        ]
      ) {
        const { response } = await get(localnet.rpcUrl + path);
        assert.ok(response.status === 404 || response.status === 405, `${path} ${response.status}`);
      }
      assert.equal((await get(localnet.wsUrl.replace("ws:", "http:") + "/health")).body.length, 2);
      assert.equal((await rawCall(localnet.rpcUrl, "getHealth")).result, "ok");
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
