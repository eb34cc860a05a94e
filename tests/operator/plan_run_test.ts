/** `setup-run --dry-run` says what it would do, and does nothing. */
import { Keypair } from "@solana/web3.js";
import assert from "node:assert/strict";
import { join } from "node:path";
import { closeConnection, openConnection } from "../../lib/chain/connection.ts";
import { writeWallet } from "../../lib/chain/wallet.ts";
import { spawnLocalnet } from "../../lib/localnet/spawn.ts";
import { airdropUpTo } from "../../lib/operator/airdrop.ts";
import { makeWorkspace, runScript } from "./script.ts";

Deno.test("setup-run --dry-run plans every step and sends nothing", async () => {
  const folder = await makeWorkspace();
  const localnet = await spawnLocalnet();
  const connection = openConnection({ rpcUrl: localnet.rpcUrl, wsUrl: localnet.wsUrl });
  try {
    const owner = Keypair.generate();
    await writeWallet(join(folder, "owner.json"), owner);
    await airdropUpTo(connection, owner.publicKey, 20e9);
    const args = ["planned", "--rpc", localnet.rpcUrl, "-w", "owner.json", "--json"];
    const plan = async () => {
      const { code, stdout, stderr } = await runScript("setup-run", [...args, "--dry-run"], folder);
      assert.equal(code, 0, stdout + stderr);
      return JSON.parse(stdout).steps as { step: string; effect: string; lamports: number }[];
    };
    const first = await plan();
    assert.deepEqual(
      first.map(({ step }) => step),
      ["programs", "programs", "authorization", "run", "config", "resume"],
    );
    // The authorizer and the coordinator with the usual room of 500,000 bytes.
    for (const { lamports } of first.slice(0, 2)) assert.ok(lamports > 3.4e9 && lamports < 3.6e9);
    assert.equal(first.find(({ step }) => step === "run")!.lamports, 830_244_480 + 2_094_960);
    assert.equal(await connection.getBalance(owner.publicKey), 20e9);

    assert.equal((await runScript("setup-run", args, folder)).code, 0);
    const second = await plan();
    assert.equal(second.reduce((sum, { lamports }) => sum + lamports, 0), 0);
    assert.match(second.map(({ effect }) => effect).join(), /unchanged.*is there/);
  } finally {
    await closeConnection(connection);
    await localnet.stop();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a wallet that cannot pay for the usual room is told of --max-len, which then suffices", async () => {
  const folder = await makeWorkspace();
  const localnet = await spawnLocalnet();
  const connection = openConnection({ rpcUrl: localnet.rpcUrl, wsUrl: localnet.wsUrl });
  try {
    const owner = Keypair.generate();
    await writeWallet(join(folder, "owner.json"), owner);
    await airdropUpTo(connection, owner.publicKey, 5e9);
    const args = ["--rpc", localnet.rpcUrl, "-w", "owner.json", "--dry-run"];
    for (const command of ["deploy-solana-test", "setup-run"]) {
      const poor = await runScript(command, args, folder);
      assert.equal(poor.code, 1, poor.stdout);
      assert.match(
        poor.stderr,
        /BALANCE_TOO_LOW.*holds 5\.0+ SOL.*needs [67]\.\d+ SOL; fund it .*with --max-len \d+ it needs [1-4]\.\d+ SOL/,
      );
      const [room] = poor.stderr.match(/(?<=--max-len )\d+/)!;
      const enough = await runScript(command, [...args, "--max-len", room], folder);
      assert.equal(enough.code, 0, enough.stderr);
      assert.match(enough.stdout, /(authorizer|programs).*locks( up to)? \d\.\d+ SOL/s);
    }
  } finally {
    await closeConnection(connection);
    await localnet.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
