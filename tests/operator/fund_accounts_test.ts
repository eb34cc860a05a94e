/** Funding a fleet: nobody is paid twice and no key is lost, also when the command is killed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Keypair, PublicKey } from "@solana/web3.js";
import { closeConnection, openConnection } from "../../lib/chain/connection.ts";
import { loadWallet, writeWallet } from "../../lib/chain/wallet.ts";
import { spawnLocalnet } from "../../lib/localnet/spawn.ts";
import { runScript, spawnScript } from "./script.ts";

const SOL = 1_000_000_000;

Deno.test("fund_accounts", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "psyche-fund-" });
  const localnet = await spawnLocalnet();
  const connection = openConnection({ rpcUrl: localnet.rpcUrl, wsUrl: localnet.wsUrl });
  const rpc = ["--rpc", localnet.rpcUrl];
  const run = (...args: string[]) => runScript("fund_accounts", [...args, ...rpc], folder);
  const json = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(...args, "--json");
    return { code, stderr, value: JSON.parse(stdout) };
  };
  const balances = async (addresses: PublicKey[]) => {
    const found: number[] = [];
    for (let at = 0; at < addresses.length; at += 100) {
      const part = await connection.getMultipleAccountsInfo(addresses.slice(at, at + 100));
      found.push(...part.map((account) => account?.lamports ?? 0));
    }
    return found;
  };
  const addressesIn = async (path: string) =>
    (await Deno.readTextFile(path)).trim().split("\n").map((line) => new PublicKey(line));
  const keysIn = async (directory: string, count: number) => {
    const keys: PublicKey[] = [];
    for (let i = 1; i <= count; i++) {
      const { keypair } = await loadWallet(join(directory, `keypair_${i}.json`));
      keys.push(keypair.publicKey);
    }
    return keys;
  };
  try {
    await writeWallet(join(folder, "owner.json"), Keypair.generate());
    const fleet = join(folder, "devnet_funded_accounts");

    await t.step("a dry run shows cost and effect, and makes nothing", async () => {
      const { code, value, stderr } = await json("owner.json", "3", "--dry-run");
      assert.equal(code, 1, "the wallet is empty");
      assert.equal(value.error.code, "BALANCE_TOO_LOW", stderr);
      await assert.rejects(Deno.stat(fleet));
    });

    await t.step("without a terminal and without --yes nothing happens", async () => {
      const { code, stderr } = await run("owner.json", "3");
      assert.equal(code, 1);
      assert.match(stderr, /3 of 3 accounts get 3\.000000000 SOL, fees 0\.000005000 SOL/);
      assert.match(stderr, /error\[CONFIRMATION_NEEDED\]/);
      await assert.rejects(Deno.stat(fleet));
    });

    await t.step("keys, list and balances; then only what is below the target", async () => {
      const first = await json("owner.json", "3", "--yes");
      assert.equal(first.code, 0, first.stderr);
      const keys = await keysIn(fleet, 3);
      assert.deepEqual(await addressesIn(join(fleet, "pubkeys.txt")), keys);
      assert.deepEqual(await balances(keys), [SOL, SOL, SOL]);
      if (Deno.build.os !== "windows") {
        assert.equal(Deno.statSync(fleet).mode! & 0o777, 0o700);
        assert.equal(Deno.statSync(join(fleet, "keypair_1.json")).mode! & 0o777, 0o600);
      }
      const again = await json("owner.json", "3", "--yes");
      assert.deepEqual([again.value.funded, again.value.signatures], [[], []]);
      const dry = await json("owner.json", "5", "--dry-run");
      assert.deepEqual([dry.value.transferLamports, dry.value.newKeys], [2 * SOL, 2]);
      assert.ok(dry.value.unitsConsumed > 0);
      const more = await json("owner.json", "5", "--yes", "--amount", "1.5");
      assert.equal(more.value.transferLamports, 3 * SOL / 2 + 2 * 1.5 * SOL);
      assert.deepEqual(await keysIn(fleet, 3), keys, "keys are kept");
      assert.deepEqual(await balances(await keysIn(fleet, 5)), Array(5).fill(1.5 * SOL));
    });

    await t.step(
      "given addresses: the first ones, with every problem of the file named",
      async () => {
        const addresses = Array.from({ length: 4 }, () => Keypair.generate().publicKey);
        const list = join(folder, "list.txt");
        await Deno.writeTextFile(list, `${addresses.map(String).join("\n\n")}\n`);
        const { code, stderr } = await json("owner.json", "3", "list.txt", "--yes");
        assert.equal(code, 0, stderr);
        assert.match(stderr, /the last 1 addresses of list.txt are left out/);
        assert.deepEqual(await balances(addresses), [SOL, SOL, SOL, 0]);
        await Deno.writeTextFile(list, `${addresses[0]}\nnonsense\n${addresses[0]}\n`);
        const bad = await json("owner.json", "4", "list.txt", "--yes");
        assert.equal(bad.value.error.code, "RECIPIENTS_INVALID");
        for (const part of ["3 addresses", "line 2", "line 3 repeats"]) {
          assert.ok(bad.value.error.message.includes(part), part);
        }
      },
    );

    await t.step("wrong use", async () => {
      for (
        const [args, code, error] of [
          [["owner.json"], 2, "USAGE"],
          [["owner.json", "03"], 2, "USAGE"],
          [["none.json", "3"], 1, "WALLET_FILE_MISSING"],
          [["owner.json", "3", "none.txt"], 1, "RECIPIENTS_INVALID"],
          [["owner.json", "3", "--amount", "0.0001"], 1, "AMOUNT_TOO_SMALL"],
        ] as const
      ) {
        const result = await run(...args);
        assert.equal(result.code, code, result.stderr);
        assert.match(result.stderr, new RegExp(`error\\[${error}\\]`));
      }
    });

    await t.step("killed at random moments: nobody twice, no key lost", async () => {
      const count = 150;
      const seed = Math.floor(Math.random() * 2 ** 31);
      let random = seed;
      const chance = () => (random = (random * 48271 + 11) % 0x7fffffff) / 0x7fffffff;
      const start = performance.now();
      await run("owner.json", `${count}`, "--yes", "--keys-directory", join(fleet, "whole"));
      const usual = performance.now() - start;
      let [kills, settled] = [0, 0];
      for (let scenario = 0; scenario < 6; scenario++) {
        const directory = join(fleet, `killed-${scenario}`);
        const args = ["owner.json", `${count}`, "--yes", "--keys-directory", directory, ...rpc];
        let kept: string[] = [];
        for (let attempt = 0; attempt < 2; attempt++) {
          const child = spawnScript("fund_accounts", args, folder);
          const ended = child.output();
          // At any time, or just when transfers were signed and written down.
          if (scenario % 2 === 0) await sleep(usual * (0.2 + 0.9 * chance()));
          else await journalAppears(join(folder, ".psyche/funding"), ended);
          try {
            child.kill("SIGKILL");
          } catch {
            // It had ended.
          }
          if (!(await ended).success) kills++;
          const found = await filesFrom(directory, count);
          assert.deepEqual(found.slice(0, kept.length), kept, `seed ${seed}`);
          kept = found;
        }
        const last = await json(...args);
        assert.equal(last.code, 0, last.stderr);
        settled += last.value.settledBefore;
        assert.deepEqual((await filesFrom(directory, count)).slice(0, kept.length), kept);
        const keys = await keysIn(directory, count);
        assert.deepEqual(await addressesIn(join(directory, "pubkeys.txt")), keys);
        assert.deepEqual(await balances(keys), Array(count).fill(SOL), `seed ${seed}`);
      }
      assert.ok(kills > 0 && settled > 0, `seed ${seed}: ${kills} kills, ${settled} settled`);
    });

    await t.step("1,000 accounts", async () => {
      const start = performance.now();
      const args = ["owner.json", "1000", "--yes", "--keys-directory", join(fleet, "many")];
      const { code, value, stderr } = await json(...args);
      assert.equal(code, 0, stderr);
      assert.equal(value.transactions, 48);
      console.log(`1,000 accounts in ${Math.round(performance.now() - start)} ms`);
      const many = await addressesIn(join(fleet, "many", "pubkeys.txt"));
      assert.deepEqual(await balances(many), Array(1000).fill(SOL));
    });
  } finally {
    await closeConnection(connection);
    await localnet.stop();
    await Deno.remove(folder, { recursive: true });
  }
});

function sleep(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}

async function filesFrom(directory: string, count: number): Promise<string[]> {
  const found: string[] = [];
  for (let i = 1; i <= count; i++) {
    try {
      found.push(await Deno.readTextFile(join(directory, `keypair_${i}.json`)));
    } catch {
      break;
    }
  }
  return found;
}

/** Looks often: the file lives for a few milliseconds. */
async function journalAppears(directory: string, ended: Promise<unknown>): Promise<void> {
  let isOver = false;
  ended.then(() => isOver = true);
  while (!isOver) {
    for (const { name } of Deno.readDirSync(directory)) {
      for (const file of Deno.readDirSync(join(directory, name))) {
        if (file.name.endsWith(".json")) return;
      }
    }
    await sleep(0);
  }
}
