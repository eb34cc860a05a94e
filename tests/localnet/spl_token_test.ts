/** Stock @solana/spl-token against a spawned localnet: both token programs. */
import assert from "node:assert/strict";
import {
  approve,
  burn,
  closeAccount,
  createMint,
  freezeAccount,
  getAccount,
  getAssociatedTokenAddressSync,
  getMint,
  getOrCreateAssociatedTokenAccount,
  mintTo,
  NATIVE_MINT,
  thawAccount,
  TOKEN_2022_PROGRAM_ID,
  TOKEN_PROGRAM_ID,
  transferChecked,
} from "@solana/spl-token";
import { Keypair } from "@solana/web3.js";
import { rawCall, withLocalnet } from "./localnet_client.ts";

// web3.js keeps its HTTP agent's sockets open: nothing of the localnet's.
const test = { sanitizeResources: false, sanitizeOps: false };

/** web3.js gives a transaction up after 150 blocks: ten minutes of these, for a machine with no time. */
const PATIENT = { slotMs: 4000 };

for (
  const [name, program] of [["Token", TOKEN_PROGRAM_ID], [
    "Token-2022",
    TOKEN_2022_PROGRAM_ID,
  ]] as const
) {
  Deno.test(`spl-token: ${name}`, test, async () => {
    await withLocalnet(PATIENT, async ({ connection, localnet, wallet }) => {
      const payer = await wallet();
      const other = Keypair.generate();
      const confirm = { commitment: "confirmed" } as const;
      const mint = await createMint(
        connection,
        payer,
        payer.publicKey,
        payer.publicKey,
        6,
        Keypair.generate(),
        confirm,
        program,
      );
      const accountOf = (owner: Keypair) =>
        getOrCreateAssociatedTokenAccount(
          connection,
          payer,
          mint,
          owner.publicKey,
          false,
          "confirmed",
          confirm,
          program,
        );
      const [mine, theirs] = [await accountOf(payer), await accountOf(other)];
      await mintTo(connection, payer, mint, mine.address, payer, 5_000_000n, [], confirm, program);
      const signature = await transferChecked(
        connection,
        payer,
        mine.address,
        mint,
        theirs.address,
        payer,
        1_500_000n,
        6,
        [],
        confirm,
        program,
      );
      assert.equal(
        (await getAccount(connection, theirs.address, undefined, program)).amount,
        1_500_000n,
      );
      assert.equal((await getMint(connection, mint, undefined, program)).supply, 5_000_000n);

      const found = await connection.getTransaction(signature, {
        maxSupportedTransactionVersion: 0,
      });
      const after = found!.meta!.postTokenBalances!.map((it) => it.uiTokenAmount.uiAmountString);
      assert.deepEqual(after.sort(), ["1.5", "3.5"]);
      const balance = await connection.getTokenAccountBalance(theirs.address);
      assert.equal(balance.value.uiAmount, 1.5);
      assert.equal((await connection.getTokenSupply(mint)).value.amount, "5000000");
      const largest = await connection.getTokenLargestAccounts(mint);
      assert.deepEqual(largest.value.map((it) => it.amount), ["3500000", "1500000"]);
      const owned = await connection.getParsedTokenAccountsByOwner(other.publicKey, { mint });
      assert.equal(owned.value[0].account.data.parsed.info.tokenAmount.uiAmountString, "1.5");

      await approve(
        connection,
        payer,
        mine.address,
        other.publicKey,
        payer,
        7n,
        [],
        confirm,
        program,
      );
      const delegated = await rawCall(
        localnet.rpcUrl,
        "getTokenAccountsByDelegate",
        other.publicKey,
        { programId: program },
        { encoding: "jsonParsed" },
      );
      assert.equal(delegated.result.value.length, 1);
      await freezeAccount(connection, payer, theirs.address, mint, payer, [], confirm, program);
      assert.ok((await getAccount(connection, theirs.address, undefined, program)).isFrozen);
      await thawAccount(connection, payer, theirs.address, mint, payer, [], confirm, program);
      await burn(connection, payer, mine.address, mint, payer, 3_500_000n, [], confirm, program);
      await closeAccount(
        connection,
        payer,
        mine.address,
        payer.publicKey,
        payer,
        [],
        confirm,
        program,
      );
      assert.equal(await connection.getAccountInfo(mine.address), null);
      assert.deepEqual(
        mine.address,
        getAssociatedTokenAddressSync(mint, payer.publicKey, false, program),
      );
      if (program === TOKEN_PROGRAM_ID) {
        assert.equal((await getMint(connection, NATIVE_MINT)).decimals, 9);
      }
      const missing = await rawCall(localnet.rpcUrl, "getTokenSupply", other.publicKey);
      assert.equal(missing.error.code, -32602);
    });
  });
}
