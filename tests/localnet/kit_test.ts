/** Stock @solana/kit against a spawned localnet: the newest client, with bigints on the wire. */
import assert from "node:assert/strict";
import {
  address,
  airdropFactory,
  appendTransactionMessageInstruction,
  assertIsTransactionWithBlockhashLifetime,
  createSolanaRpc,
  createSolanaRpcSubscriptions,
  createTransactionMessage,
  generateKeyPairSigner,
  getSignatureFromTransaction,
  lamports,
  pipe,
  sendAndConfirmTransactionFactory,
  setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash,
  signTransactionMessageWithSigners,
} from "@solana/kit";
import { spawnLocalnet } from "../../lib/localnet/spawn.ts";
import { within } from "./localnet_client.ts";

const SYSTEM = address("11111111111111111111111111111111");

// kit's subscription sockets close lazily: nothing of the localnet's.
const test = { sanitizeResources: false, sanitizeOps: false };

Deno.test("kit: airdrop, transfer, account and slot notifications", test, async () => {
  const localnet = await spawnLocalnet();
  const abort = new AbortController();
  try {
    const rpc = createSolanaRpc(localnet.rpcUrl);
    const rpcSubscriptions = createSolanaRpcSubscriptions(localnet.wsUrl);
    const airdrop = airdropFactory({ rpc, rpcSubscriptions });
    const sendAndConfirm = sendAndConfirmTransactionFactory({ rpc, rpcSubscriptions });
    const [payer, to] = [await generateKeyPairSigner(), await generateKeyPairSigner()];
    await airdrop({
      commitment: "confirmed",
      recipientAddress: payer.address,
      lamports: lamports(5_000_000_000n),
    });
    assert.equal((await rpc.getBalance(payer.address).send()).value, 5_000_000_000n);

    const notifications = await rpcSubscriptions.accountNotifications(to.address, {
      commitment: "confirmed",
      encoding: "base64",
    }).subscribe({ abortSignal: abort.signal });
    const first = (async () => {
      for await (const { value } of notifications) return value.lamports;
    })();
    const slots = await rpcSubscriptions.slotNotifications().subscribe({
      abortSignal: abort.signal,
    });
    const slot = (async () => {
      for await (const it of slots) return it.slot;
    })();

    const { value: blockhash } = await rpc.getLatestBlockhash().send();
    const data = new Uint8Array(12);
    data[0] = 2;
    new DataView(data.buffer).setBigUint64(4, 1_000_000_000n, true);
    const message = pipe(
      createTransactionMessage({ version: 0 }),
      (it) => setTransactionMessageFeePayerSigner(payer, it),
      (it) => setTransactionMessageLifetimeUsingBlockhash(blockhash, it),
      (it) =>
        appendTransactionMessageInstruction({
          programAddress: SYSTEM,
          accounts: [{ address: payer.address, role: 3 }, { address: to.address, role: 1 }],
          data,
        }, it),
    );
    const transaction = await signTransactionMessageWithSigners(message);
    assertIsTransactionWithBlockhashLifetime(transaction);
    await within(10_000, "confirmation", sendAndConfirm(transaction, { commitment: "confirmed" }));
    assert.equal(await within(5000, "account notification", first), 1_000_000_000n);
    assert.equal(typeof await within(5000, "slot notification", slot), "bigint");

    const found = await rpc.getTransaction(getSignatureFromTransaction(transaction), {
      encoding: "json",
      maxSupportedTransactionVersion: 0,
    }).send();
    assert.equal(found?.meta?.fee, 5000n);
    // A u64 beyond the exact integers of a double must arrive exactly: the faucet's balance.
    const [faucet] = (await rpc.getLargestAccounts().send()).value;
    const { value: info } = await rpc.getAccountInfo(faucet.address, { encoding: "base64" }).send();
    assert.equal(info?.lamports, 400_000_000_000_000_000n - 5_000_000_000n - 5000n);
    assert.equal((await rpc.getEpochInfo().send()).epoch, 0n);
    assert.equal(await rpc.getHealth().send(), "ok");
  } finally {
    abort.abort();
    await localnet.stop();
  }
});
