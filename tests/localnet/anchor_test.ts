/** Stock @coral-xyz/anchor against a spawned localnet, with an IDL of the system program. */
import assert from "node:assert/strict";
import anchor from "@coral-xyz/anchor";
import { Keypair, SystemProgram } from "@solana/web3.js";
import { closeSocket, within, withLocalnet } from "./localnet_client.ts";

/** Transfers, and nonce accounts, which begin with two numbers that serve as a discriminator. */
const IDL = {
  address: SystemProgram.programId.toBase58(),
  metadata: { name: "system", version: "0.1.0", spec: "0.1.0" },
  instructions: [
    {
      name: "transfer",
      discriminator: [2, 0, 0, 0],
      accounts: [
        { name: "from", writable: true, signer: true },
        { name: "to", writable: true },
      ],
      args: [{ name: "lamports", type: "u64" }],
    },
    {
      name: "initialize_nonce",
      discriminator: [6, 0, 0, 0],
      accounts: [
        { name: "nonce", writable: true },
        { name: "blockhashes", address: "SysvarRecentB1ockHashes11111111111111111111" },
        { name: "rent", address: "SysvarRent111111111111111111111111111111111" },
      ],
      args: [{ name: "authority", type: "pubkey" }],
    },
  ],
  accounts: [{ name: "Nonce", discriminator: [1, 0, 0, 0, 1, 0, 0, 0] }],
  types: [{
    name: "Nonce",
    type: {
      kind: "struct",
      fields: [
        { name: "authority", type: "pubkey" },
        { name: "blockhash", type: "pubkey" },
        { name: "lamports_per_signature", type: "u64" },
      ],
    },
  }],
  errors: [{ code: 1, name: "NotEnough", msg: "not enough lamports" }],
};

interface NonceAccount {
  authority: { toBase58(): string };
  lamportsPerSignature: { toNumber(): number };
}

// web3.js keeps its HTTP agent's sockets open: nothing of the localnet's.
const test = { sanitizeResources: false, sanitizeOps: false };

Deno.test("anchor", test, async (t) => {
  await withLocalnet({}, async ({ connection, wallet }) => {
    const payer = await wallet();
    const provider = new anchor.AnchorProvider(connection, new anchor.Wallet(payer), {
      commitment: "confirmed",
    });
    const program = new anchor.Program(IDL as unknown as anchor.Idl, provider);
    const to = Keypair.generate().publicKey;
    const transfer = (lamports: number) =>
      program.methods.transfer(new anchor.BN(lamports)).accounts({ from: payer.publicKey, to });

    await t.step("rpc", async () => {
      await transfer(2e9).rpc();
      assert.equal(await connection.getBalance(to), 2e9);
    });

    await t.step("simulate", async () => {
      const { raw } = await transfer(1e9).simulate();
      assert.ok(raw.some((line) => line.includes("success")));
      assert.equal(await connection.getBalance(to), 2e9);
    });

    await t.step("errors of the program have their name", async () => {
      await assert.rejects(transfer(1e15).rpc(), /custom program error: 0x1|not enough lamports/);
    });

    const nonce = Keypair.generate();
    const accounts = program.account as unknown as Record<string, {
      fetch(key: unknown): Promise<NonceAccount>;
      all(): Promise<{ publicKey: { toBase58(): string } }[]>;
      subscribe(key: unknown): { once(event: string, listener: (it: NonceAccount) => void): void };
      unsubscribe(key: unknown): Promise<void>;
    }>;

    await t.step("account fetch, all and subscribe", async () => {
      const changed = new Promise<NonceAccount>((resolve) =>
        accounts.nonce.subscribe(nonce.publicKey).once("change", resolve)
      );
      // The subscription travels over a socket that opens only now.
      await new Promise((next) => setTimeout(next, 300));
      await program.methods.initializeNonce(payer.publicKey)
        .accounts({ nonce: nonce.publicKey })
        .preInstructions([SystemProgram.createAccount({
          fromPubkey: payer.publicKey,
          newAccountPubkey: nonce.publicKey,
          lamports: await connection.getMinimumBalanceForRentExemption(80),
          space: 80,
          programId: SystemProgram.programId,
        })])
        .signers([nonce])
        .rpc();
      const seen = await within(10_000, "account change", changed);
      assert.equal(seen.authority.toBase58(), payer.publicKey.toBase58());
      const fetched = await accounts.nonce.fetch(nonce.publicKey);
      assert.equal(fetched.lamportsPerSignature.toNumber(), 5000);
      const all = await accounts.nonce.all();
      assert.deepEqual(all.map((it) => it.publicKey.toBase58()), [nonce.publicKey.toBase58()]);
      await accounts.nonce.unsubscribe(nonce.publicKey);
    });
    closeSocket(connection);
  });
});
