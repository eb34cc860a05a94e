/** `deno bench -A lib/localnet/localnet_bench.ts`: how fast the localnet starts and works. */
import { generateKeyPairSync, sign } from "node:crypto";
import { knownKey } from "./base58.ts";
import { Params } from "./params.ts";
import { spawnLocalnet } from "./spawn.ts";
import { createLocalnet } from "./start.ts";
import { decodeTransaction } from "./wire.ts";

async function call(url: string, method: string, ...params: unknown[]) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  return (await (await fetch(url, { method: "POST", body })).json()).result;
}

Deno.bench("spawn, airdrop, confirmed, stopped", { n: 5, warmup: 1 }, async () => {
  const localnet = await spawnLocalnet();
  const signature = await call(localnet.rpcUrl, "requestAirdrop", "1".repeat(31) + "2", 1e9);
  const { value } = await call(localnet.rpcUrl, "getSignatureStatuses", [signature]);
  if (value[0].err !== null) throw new Error("not confirmed");
  await localnet.stop();
});

const core = createLocalnet();
const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const payer = new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(-32));
core.node.faucet.airdrop(payer, 1_000_000_000_000_000n);
let amount = 1_000_000n;

/** A signed transfer that is different each time. */
function transfer(): Uint8Array {
  const data = new Uint8Array(12);
  data[0] = 2;
  new DataView(data.buffer).setBigUint64(4, amount++, true);
  const message = new Uint8Array([
    ...[1, 0, 1, 3],
    ...payer,
    ...new Uint8Array(32).fill(7),
    ...new Uint8Array(32),
    ...knownKey(core.node.clock.current.blockhash),
    ...[1, 2, 2, 0, 1, data.length],
    ...data,
  ]);
  return new Uint8Array([1, ...sign(null, message, privateKey), ...message]);
}

Deno.bench("sign a transfer (part of the next two)", () => void transfer());

Deno.bench("decode, verify, execute and record a transfer", () => {
  const result = core.node.bank.submit(decodeTransaction(transfer()), { verify: true });
  if (result.kind !== "executed") throw new Error("refused");
});

const send = core.find("sendTransaction")!;

Deno.bench("sendTransaction with preflight, without the network", () => {
  send(new Params([transfer().toBase64(), { encoding: "base64" }]));
});
