/** The chain's time, also when it runs faster than the wall. */
import assert from "node:assert/strict";
import { Keypair, SystemProgram, SYSVAR_CLOCK_PUBKEY, Transaction } from "@solana/web3.js";
import { rawCall, withLocalnet } from "./localnet_client.ts";

const test = { sanitizeResources: false, sanitizeOps: false }; // web3.js keeps its agent's sockets

Deno.test(
  "clock rate 20: every transaction sees the fresh second, slots stay on the wall",
  test,
  async () => {
    await withLocalnet({ clockRate: 20 }, async ({ connection, localnet, wallet }) => {
      const payer = await wallet();
      const clock = async () => (await rawCall(localnet.rpcUrl, "localnet_getClock")).result;
      const first = await clock();
      const started = performance.now();
      assert.equal(first.clockRate, 20);
      const firstSlot = await connection.getSlot();
      const seconds = new Set<number>();
      while (performance.now() - started < 1000) {
        const transaction = new Transaction().add(
          SystemProgram.transfer({
            fromPubkey: payer.publicKey,
            toPubkey: Keypair.generate().publicKey,
            lamports: 1e6,
          }),
        );
        await connection.sendTransaction(transaction, [payer], { skipPreflight: true });
        const info = await connection.getAccountInfo(SYSVAR_CLOCK_PUBKEY);
        seconds.add(Number(info!.data.readBigInt64LE(32)));
      }
      const wall = (performance.now() - started) / 1000;
      const last = await clock();
      const chain = (last.unixTimestampMillis - first.unixTimestampMillis) / 1000;
      assert.ok(Math.abs(chain / wall - 20) < 4, `${chain} chain seconds in ${wall} s`);
      assert.ok(seconds.size > 8, `saw ${seconds.size} different chain seconds`);
      const slots = await connection.getSlot() - firstSlot;
      assert.ok(slots >= 1 && slots <= wall / 0.4 + 2, `${slots} slots in ${wall} s`);
      const time = await connection.getBlockTime(await connection.getSlot());
      assert.ok(Math.abs(time! - last.unixTimestamp) <= 4);
    });
  },
);

Deno.test("time and slots can be moved forward", test, async () => {
  await withLocalnet({ slotMs: 10_000 }, async ({ connection, localnet }) => {
    const { result: before } = await rawCall(localnet.rpcUrl, "localnet_getClock");
    await rawCall(localnet.rpcUrl, "localnet_skipTime", 3600);
    const { result: after } = await rawCall(localnet.rpcUrl, "localnet_getClock");
    assert.ok(after.unixTimestamp - before.unixTimestamp >= 3600);
    const slot = await connection.getSlot();
    await rawCall(localnet.rpcUrl, "localnet_advanceSlot");
    assert.equal(await connection.getSlot(), slot + 1);
  });
});
