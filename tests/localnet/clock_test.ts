/** The chain's time, also when it runs faster than the wall. */
import assert from "node:assert/strict";
import { Keypair, SystemProgram, SYSVAR_CLOCK_PUBKEY, Transaction } from "@solana/web3.js";
import { rawCall, withLocalnet } from "./localnet_client.ts";

const test = { sanitizeResources: false, sanitizeOps: false }; // web3.js keeps its agent's sockets

Deno.test(
  "clock rate 20: each transaction sees the fresh second, also within a slot",
  test,
  async () => {
    await withLocalnet(
      { clockRate: 20, slotMs: 5000 },
      async ({ connection, localnet, wallet }) => {
        const payer = await wallet();
        /** The chain's clock, and between which wall times it was read. */
        const clock = async () => {
          const from = performance.now();
          const { result } = await rawCall(localnet.rpcUrl, "localnet_getClock");
          return { ...result, from, to: performance.now() };
        };
        const first = await clock();
        assert.equal(first.clockRate, 20);
        const seconds = new Set<number>();
        while (performance.now() - first.from < 1000) {
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
        const last = await clock();
        const chain = last.unixTimestampMillis - first.unixTimestampMillis;
        assert.ok(chain >= 20 * (last.from - first.to) - 1, `${chain} ms is too slow`);
        assert.ok(chain <= 20 * (last.to - first.from) + 1, `${chain} ms is too fast`);
        assert.ok(last.slot - first.slot <= 1, "slots follow the wall");
        assert.ok(seconds.size > 3, `saw ${seconds.size} different chain seconds`);
        const time = await connection.getBlockTime(last.slot);
        assert.ok(time! >= last.unixTimestamp && [...seconds].every((it) => it <= time!));
      },
    );
  },
);

Deno.test("time and slots can be moved forward", test, async () => {
  await withLocalnet({ slotMs: 10_000 }, async ({ connection, localnet }) => {
    const { result: before } = await rawCall(localnet.rpcUrl, "localnet_getClock");
    await rawCall(localnet.rpcUrl, "localnet_skipTime", 3600);
    const { result: after } = await rawCall(localnet.rpcUrl, "localnet_getClock");
    assert.ok(after.unixTimestamp - before.unixTimestamp >= 3600);
    const sysvar = await connection.getAccountInfo(SYSVAR_CLOCK_PUBKEY);
    assert.ok(Number(sysvar!.data.readBigInt64LE(32)) >= after.unixTimestamp);
    const slot = await connection.getSlot();
    await rawCall(localnet.rpcUrl, "localnet_advanceSlot");
    assert.equal(await connection.getSlot(), slot + 1);
  });
});
