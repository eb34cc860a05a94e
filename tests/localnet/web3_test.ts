/** Stock @solana/web3.js against a spawned localnet. */
import assert from "node:assert/strict";
import {
  AddressLookupTableProgram,
  ComputeBudgetProgram,
  type Connection,
  Ed25519Program,
  Keypair,
  LAMPORTS_PER_SOL,
  type Logs,
  NonceAccount,
  PublicKey,
  sendAndConfirmTransaction,
  SystemProgram,
  SYSVAR_CLOCK_PUBKEY,
  Transaction,
  TransactionInstruction,
  TransactionMessage,
  VersionedTransaction,
} from "@solana/web3.js";
import { rawCall, within, withLocalnet } from "./localnet_client.ts";

const MEMO = new PublicKey("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");

function transfer(from: Keypair, to: PublicKey, lamports: number): Transaction {
  return new Transaction().add(
    SystemProgram.transfer({ fromPubkey: from.publicKey, toPubkey: to, lamports }),
  );
}

function until(connection: Connection, done: () => Promise<boolean>): Promise<void> {
  return within(
    10_000,
    `condition on ${connection.rpcEndpoint}`,
    (async () => {
      while (!await done()) await new Promise((next) => setTimeout(next, 50));
    })(),
  );
}

Deno.test("web3.js", { sanitizeResources: false, sanitizeOps: false }, async (t) => {
  await withLocalnet({}, async ({ connection, localnet, wallet }) => {
    const payer = await wallet();

    await t.step("airdrop, transfer, balances and history", async () => {
      assert.equal(await connection.getBalance(payer.publicKey), 10 * LAMPORTS_PER_SOL);
      const to = Keypair.generate().publicKey;
      const signature = await sendAndConfirmTransaction(
        connection,
        transfer(payer, to, LAMPORTS_PER_SOL),
        [payer],
      );
      assert.equal(await connection.getBalance(to), LAMPORTS_PER_SOL);
      const status = (await connection.getSignatureStatuses([signature])).value[0];
      assert.equal(status?.confirmationStatus, "finalized");
      const found = await connection.getTransaction(signature, {
        maxSupportedTransactionVersion: 0,
      });
      assert.equal(found?.meta?.fee, 5000);
      assert.deepEqual(
        [found.meta.preBalances[1], found.meta.postBalances[1]],
        [0, LAMPORTS_PER_SOL],
      );
      // A slot may cross the border of a second: its time is that of its end, or now.
      const later = (await connection.getBlockTime(found.slot))! - found.blockTime!;
      assert.ok(later === 0 || later === 1, `${later}`);
      const block = await connection.getBlock(found.slot, { maxSupportedTransactionVersion: 0 });
      assert.ok(block?.transactions.some((it) => it.transaction.signatures[0] === signature));
      const [latest] = await connection.getSignaturesForAddress(to);
      assert.equal(latest.signature, signature);
      const parsed = await connection.getParsedTransaction(signature);
      const [instruction] = parsed!.transaction.message.instructions;
      assert.ok("parsed" in instruction && instruction.parsed.type === "transfer");
    });

    await t.step("failures come with their reason, before and after preflight", async () => {
      const poor = Keypair.generate();
      await assert.rejects(
        sendAndConfirmTransaction(connection, transfer(poor, payer.publicKey, 1), [poor]),
        /no record of a prior credit/,
      );
      const tooMuch = transfer(payer, Keypair.generate().publicKey, 1000 * LAMPORTS_PER_SOL);
      await assert.rejects(
        sendAndConfirmTransaction(connection, tooMuch, [payer]),
        /custom program error: 0x1/,
      );
      const before = await connection.getBalance(payer.publicKey);
      const signature = await connection.sendTransaction(tooMuch, [payer], { skipPreflight: true });
      const { value } = await connection.confirmTransaction(signature);
      assert.deepEqual(value.err, { InstructionError: [0, { Custom: 1 }] });
      assert.equal(before - await connection.getBalance(payer.publicKey), 5000);
    });

    await t.step("a bad signature, an old blockhash and a replay are refused", async () => {
      const { blockhash } = await connection.getLatestBlockhash();
      const once = transfer(payer, Keypair.generate().publicKey, LAMPORTS_PER_SOL / 100);
      once.recentBlockhash = blockhash;
      once.feePayer = payer.publicKey;
      once.sign(payer);
      const bytes = once.serialize();
      const forged = Uint8Array.from(bytes);
      forged[10] ^= 1;
      await assert.rejects(connection.sendRawTransaction(forged), /signature verification/);
      await connection.sendRawTransaction(bytes);
      await assert.rejects(connection.sendRawTransaction(bytes), /already been processed/);
      // Rebroadcast without preflight is answered and changes nothing, as on a cluster.
      const balance = await connection.getBalance(payer.publicKey);
      await connection.sendRawTransaction(bytes, { skipPreflight: true });
      assert.equal(await connection.getBalance(payer.publicKey), balance);
      const old = transfer(payer, payer.publicKey, 1);
      old.recentBlockhash = Keypair.generate().publicKey.toBase58();
      old.feePayer = payer.publicKey;
      old.sign(payer);
      await assert.rejects(connection.sendRawTransaction(old.serialize()), /Blockhash not found/);
    });

    await t.step("account, program, logs, signature, slot and root subscriptions", async () => {
      const watched = Keypair.generate().publicKey;
      const seen = { account: 0, program: 0, logs: [] as Logs[], slots: 0, roots: 0 };
      const ids = [
        connection.onAccountChange(watched, (info) => seen.account = info.lamports),
        connection.onProgramAccountChange(
          SystemProgram.programId,
          (info) => seen.program += info.accountId.equals(watched) ? 1 : 0,
        ),
        connection.onLogs(watched, (logs) => seen.logs.push(logs)),
        connection.onSlotChange(() => seen.slots++),
        connection.onRootChange(() => seen.roots++),
      ];
      await until(connection, () => Promise.resolve(seen.slots > 0));
      const lamports = LAMPORTS_PER_SOL / 10;
      const signature = await sendAndConfirmTransaction(
        connection,
        transfer(payer, watched, lamports),
        [payer],
      );
      await until(
        connection,
        () =>
          Promise.resolve(
            seen.account === lamports && seen.program > 0 && seen.logs.length > 0 && seen.roots > 0,
          ),
      );
      assert.equal(seen.program, 1);
      assert.equal(seen.logs[0].signature, signature);
      await connection.removeAccountChangeListener(ids[0]);
      await connection.removeProgramAccountChangeListener(ids[1]);
      await connection.removeOnLogsListener(ids[2]);
      await connection.removeSlotChangeListener(ids[3]);
      await connection.removeRootChangeListener(ids[4]);
    });

    await t.step("version 0 with a lookup table, compute budget, priority fee, memo", async () => {
      const slot = await connection.getSlot();
      await until(connection, async () => await connection.getSlot() > slot);
      const [create, table] = AddressLookupTableProgram.createLookupTable({
        authority: payer.publicKey,
        payer: payer.publicKey,
        recentSlot: slot,
      });
      const to = Keypair.generate().publicKey;
      const extend = AddressLookupTableProgram.extendLookupTable({
        lookupTable: table,
        authority: payer.publicKey,
        payer: payer.publicKey,
        addresses: [to, MEMO],
      });
      await sendAndConfirmTransaction(connection, new Transaction().add(create, extend), [payer]);
      const { value: account } = await connection.getAddressLookupTable(table);
      const { blockhash } = await connection.getLatestBlockhash();
      const message = new TransactionMessage({
        payerKey: payer.publicKey,
        recentBlockhash: blockhash,
        instructions: [
          ComputeBudgetProgram.setComputeUnitLimit({ units: 100_000 }),
          ComputeBudgetProgram.setComputeUnitPrice({ microLamports: 10_000 }),
          SystemProgram.transfer({
            fromPubkey: payer.publicKey,
            toPubkey: to,
            lamports: LAMPORTS_PER_SOL / 10,
          }),
          new TransactionInstruction({ programId: MEMO, keys: [], data: Buffer.from("hello") }),
        ],
      }).compileToV0Message([account!]);
      const transaction = new VersionedTransaction(message);
      transaction.sign([payer]);
      const simulated = await connection.simulateTransaction(transaction, {
        accounts: { encoding: "base64", addresses: [to.toBase58()] },
      });
      assert.equal(simulated.value.accounts?.[0]?.lamports, LAMPORTS_PER_SOL / 10);
      const signature = await connection.sendTransaction(transaction);
      await connection.confirmTransaction(signature);
      const found = await connection.getTransaction(signature, {
        maxSupportedTransactionVersion: 0,
      });
      assert.equal(found?.meta?.fee, 6000);
      assert.equal(found.meta.loadedAddresses?.writable[0].toBase58(), to.toBase58());
      assert.ok(found.meta.logMessages?.some((line) => line.includes("hello")));
      const refused = await rawCall(localnet.rpcUrl, "getTransaction", signature);
      assert.equal(refused.error.code, -32015);
    });

    await t.step("durable nonce, used up by success and by failure", async () => {
      const nonce = Keypair.generate();
      await sendAndConfirmTransaction(
        connection,
        SystemProgram.createNonceAccount({
          fromPubkey: payer.publicKey,
          noncePubkey: nonce.publicKey,
          authorizedPubkey: payer.publicKey,
          lamports: await connection.getMinimumBalanceForRentExemption(80),
        }) as Transaction,
        [payer, nonce],
      );
      const stored = async (): Promise<string> => {
        const info = await connection.getAccountInfo(nonce.publicKey);
        return NonceAccount.fromAccountData(info!.data).nonce;
      };
      for (const lamports of [LAMPORTS_PER_SOL / 100, 1000 * LAMPORTS_PER_SOL]) {
        const slot = await connection.getSlot();
        await until(connection, async () => await connection.getSlot() > slot);
        const before = await stored();
        const transaction = new Transaction().add(
          SystemProgram.nonceAdvance({
            noncePubkey: nonce.publicKey,
            authorizedPubkey: payer.publicKey,
          }),
          ...transfer(payer, Keypair.generate().publicKey, lamports).instructions,
        );
        transaction.recentBlockhash = before;
        transaction.feePayer = payer.publicKey;
        transaction.sign(payer);
        const bytes = transaction.serialize();
        const signature = await connection.sendRawTransaction(bytes, { skipPreflight: true });
        const { value: [status] } = await connection.getSignatureStatuses([signature]);
        assert.equal(status?.err === null, lamports < LAMPORTS_PER_SOL, String(lamports));
        assert.notEqual(await stored(), before);
      }
    });

    await t.step("account encodings, slices, filters and sysvars", async () => {
      const clock = await connection.getParsedAccountInfo(SYSVAR_CLOCK_PUBKEY);
      assert.ok(clock.value && "parsed" in clock.value.data);
      const slice = await connection.getAccountInfo(SYSVAR_CLOCK_PUBKEY, {
        dataSlice: { offset: 32, length: 8 },
      });
      const seconds = Number(slice!.data.readBigInt64LE());
      assert.ok(Math.abs(seconds - Date.now() / 1000) < 5, `${seconds}`);
      const zstd = await rawCall(localnet.rpcUrl, "getAccountInfo", SYSVAR_CLOCK_PUBKEY, {
        encoding: "base64+zstd",
      });
      assert.equal(zstd.result.value.data[1], "base64+zstd");
      const lookupTables = await connection.getProgramAccounts(
        AddressLookupTableProgram.programId,
        {
          filters: [{ memcmp: { offset: 22, bytes: payer.publicKey.toBase58() } }],
        },
      );
      assert.equal(lookupTables.length, 1);
      const many = await connection.getMultipleAccountsInfo([
        payer.publicKey,
        Keypair.generate().publicKey,
      ]);
      assert.deepEqual(many.map((it) => it === null), [false, true]);
    });

    await t.step("precompiles run", async () => {
      const message = Buffer.from("signed");
      await sendAndConfirmTransaction(
        connection,
        new Transaction().add(
          Ed25519Program.createInstructionWithPrivateKey({
            privateKey: payer.secretKey,
            message,
          }),
        ),
        [payer],
      );
    });

    await t.step("cluster methods answer", async () => {
      assert.match(await connection.getGenesisHash(), /^[1-9A-HJ-NP-Za-km-z]{32,44}$/);
      assert.equal((await connection.getEpochInfo()).epoch, 0);
      assert.ok((await connection.getVersion())["solana-core"]);
      assert.ok((await connection.getSupply()).value.total > 0);
      assert.equal((await connection.getVoteAccounts()).current.length, 1);
      const { value: latest } = await connection.getLatestBlockhashAndContext();
      assert.ok((await connection.isBlockhashValid(latest.blockhash)).value);
      assert.ok(latest.lastValidBlockHeight > await connection.getBlockHeight());
      const message = new TransactionMessage({
        payerKey: payer.publicKey,
        recentBlockhash: latest.blockhash,
        instructions: transfer(payer, payer.publicKey, 1).instructions,
      }).compileToLegacyMessage();
      assert.equal((await connection.getFeeForMessage(message)).value, 5000);
      const slots = await connection.getBlocks(0);
      assert.ok(slots.length > 0);
      await connection.getSlotLeaders(0, 2);
      await connection.getLeaderSchedule();
      await connection.getInflationGovernor();
      await connection.getBlockProduction();
      await connection.getRecentPrioritizationFees();
      await connection.getRecentPerformanceSamples(1);
      await connection.getClusterNodes();
      await connection.getFirstAvailableBlock();
      await connection.getLargestAccounts();
    });
  });
});
