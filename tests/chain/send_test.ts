import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Keypair, SystemProgram, TransactionInstruction } from "@solana/web3.js";
import { PsycheError } from "../../lib/error.ts";
import { clusterClock } from "../../lib/chain/cluster_clock.ts";
import {
  sendInstructions,
  simulateInstructions,
  TransactionFailedError,
} from "../../lib/chain/send.ts";
import { withLocalnet } from "./chain_test_support.ts";

async function failure(promise: Promise<unknown>): Promise<PsycheError> {
  const error = await promise.then(() => undefined, (error) => error);
  assert.ok(error instanceof PsycheError, String(error));
  return error;
}

Deno.test("sending, simulating and failing", async (t) => {
  await withLocalnet({ clockRate: 20 }, async ({ connection, wallet }) => {
    const receiver = Keypair.generate().publicKey;
    const transfer = (lamports: number, from = wallet) =>
      SystemProgram.transfer({ fromPubkey: from.publicKey, toPubkey: receiver, lamports });
    const common = { connection, payer: wallet, label: "Transfer" };

    await t.step("a dry run says what would change and changes nothing", async () => {
      const before = await connection.getBalance(wallet.publicKey);
      const simulation = await simulateInstructions({
        ...common,
        instructions: [transfer(2_000_000_000)],
      });
      assert.equal(simulation.feeLamports, 5000);
      assert.ok(simulation.unitsConsumed > 0);
      const [payer, received] = simulation.changes;
      assert.equal(payer.lamportsAfter, payer.lamportsBefore - 2_000_005_000);
      assert.equal(received.lamportsAfter, 2_000_000_000);
      assert.match(received.words, /0 -> 2 SOL \(\+2\), created/);
      assert.equal(await connection.getBalance(wallet.publicKey), before);
    });

    await t.step("a transfer arrives, with its fee and units", async () => {
      const result = await sendInstructions({
        ...common,
        instructions: [transfer(1_000_000_000)],
        priorityFeeMicroLamports: 1_000_000,
      });
      assert.equal(await connection.getBalance(receiver), 1_000_000_000);
      assert.ok(result.feeLamports > 5000 && result.feeLamports < 5000 + 60_000);
      assert.ok(result.unitsConsumed > 0 && result.unitsConsumed < 1000);
      assert.ok(result.slot > 0);
      assert.ok(result.logs.some((line) => line.includes("success")));
    });

    await t.step("many at once each arrive exactly once", async () => {
      const before = await connection.getBalance(receiver);
      await Promise.all(Array.from({ length: 20 }, (_, i) =>
        sendInstructions({
          ...common,
          instructions: [transfer(1000 + i)],
          computeUnitLimit: 10_000,
        })));
      const sum = 20 * 1000 + 190;
      assert.equal(await connection.getBalance(receiver), before + sum);
    });

    await t.step("the same transaction twice in a moment arrives twice", async () => {
      const before = await connection.getBalance(receiver);
      for (const _ of [1, 2, 3]) {
        await sendInstructions({ ...common, instructions: [transfer(7)] });
      }
      assert.equal(await connection.getBalance(receiver), before + 21);
    });

    await t.step("too little money, with and without a simulation", async () => {
      for (const computeUnitLimit of [undefined, 10_000]) {
        const options = { ...common, instructions: [transfer(1e12)], computeUnitLimit };
        const error = await failure(sendInstructions(options));
        assert.equal(error.code, "INSUFFICIENT_FUNDS");
        assert.match(error.message, /^Transfer failed.*too little SOL/);
        assert.ok((error as TransactionFailedError).logs.length > 0);
        assert.equal((error as TransactionFailedError).signature !== undefined, !!computeUnitLimit);
      }
      const poor = Keypair.generate();
      const error = await failure(
        sendInstructions({ ...common, payer: poor, instructions: [transfer(1, poor)] }),
      );
      assert.equal(error.code, "INSUFFICIENT_FUNDS");
      assert.match(error.message, new RegExp(poor.publicKey.toBase58()));
    });

    await t.step("a program that is not there, a missing signer, too many bytes", async () => {
      const instruction = (data: number) =>
        new TransactionInstruction({
          programId: Keypair.generate().publicKey,
          keys: [],
          data: Buffer.alloc(data),
        });
      const absent = await failure(
        sendInstructions({ ...common, instructions: [instruction(1)] }),
      );
      assert.equal(absent.code, "PROGRAM_NOT_DEPLOYED");
      const unsigned = await failure(
        sendInstructions({ ...common, instructions: [transfer(1, Keypair.generate())] }),
      );
      assert.equal(unsigned.code, "SIGNER_MISSING");
      const large = await failure(
        sendInstructions({ ...common, instructions: [instruction(1300)] }),
      );
      assert.equal(large.code, "TRANSACTION_TOO_LARGE");
    });

    await t.step("an aborted signal ends the sending", async () => {
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      const promise = sendInstructions({ ...common, instructions: [transfer(1)], signal });
      await assert.rejects(promise, reason);
    });

    await t.step("the cluster's clock runs at its own rate", async () => {
      const clock = await clusterClock(connection);
      assert.equal(clock.clockRate, 20);
      // The process may be put aside between any two of these readings.
      const wall = [performance.now()];
      const start = clock.now();
      wall.push(performance.now());
      await new Promise((go) => setTimeout(go, 300));
      wall.push(performance.now());
      const passed = clock.now() - start;
      wall.push(performance.now());
      assert.ok(passed > 20 * (wall[2] - wall[1]) - 2, `${passed} ${wall}`);
      assert.ok(passed < 20 * (wall[3] - wall[0]) + 2, `${passed} ${wall}`);

      const [predicted, before] = [clock.now(), performance.now()];
      await clock.resync();
      const moved = Math.abs(clock.now() - predicted);
      assert.ok(moved < 2000 + 20 * (performance.now() - before), `${moved}`);
    });
  });
});
