/** Commands over a network that delays, drops and refuses: they succeed, and everything happens once. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Keypair, PublicKey } from "@solana/web3.js";
import { closeConnection, openConnection } from "../../lib/chain/connection.ts";
import { writeWallet } from "../../lib/chain/wallet.ts";
import { spawnLocalnet } from "../../lib/localnet/spawn.ts";
import { type Fault, type FaultyProxy, startFaultyProxy } from "./faulty_proxy.ts";
import { makeWorkspace, runScript, spawnScript } from "./script.ts";

const SOL = 1_000_000_000;
/** As a grantee: everybody. */
const SYSTEM_PROGRAM = "11111111111111111111111111111111";
const FAULTS: Fault[] = ["delay", "drop", "lose answer", 429, 503];

Deno.test("operator commands over a bad network", async (t) => {
  const folder = await makeWorkspace();
  const localnet = await spawnLocalnet();
  const connection = openConnection({ rpcUrl: localnet.rpcUrl, wsUrl: localnet.wsUrl });
  const seed = Math.floor(Math.random() * 2 ** 31);
  let random = seed;
  const chance = () => (random = (random * 48271 + 11) % 0x7fffffff) / 0x7fffffff;
  /** A third of the requests meets a fault, but never more than two of a method in a row. */
  const inRow = new Map<string, number>();
  const spoilt = (method: string): Fault => {
    const faults = inRow.get(method) ?? 0;
    const isFault = faults < 2 && chance() < 1 / 3;
    inRow.set(method, isFault ? faults + 1 : 0);
    return isFault ? FAULTS[Math.floor(chance() * FAULTS.length)] : "pass";
  };
  const over = async (
    faultOf: (method: string, index: number) => Fault,
    work: (proxy: FaultyProxy, rpc: string[]) => Promise<void>,
  ) => {
    const proxy = await startFaultyProxy(localnet.rpcUrl, faultOf);
    try {
      await work(proxy, ["--rpc", proxy.url, "--ws-rpc", localnet.wsUrl]);
    } finally {
      await proxy.stop();
    }
  };
  const done = async (name: string, ...args: string[]) => {
    const { code, stdout, stderr } = await runScript(name, [...args, "--json"], folder);
    assert.equal(code, 0, `seed ${seed}: ${name} ${args.join(" ")}: ${stdout}${stderr}`);
    return JSON.parse(stdout);
  };
  const balances = async (addresses: PublicKey[]) =>
    (await connection.getMultipleAccountsInfo(addresses)).map((account) => account?.lamports ?? 0);
  try {
    const owner = Keypair.generate();
    const ownerFile = join(folder, "owner.json");
    await writeWallet(ownerFile, owner);
    const direct = ["--rpc", localnet.rpcUrl, "-w", ownerFile];
    await done("deploy-solana-test", ...direct, "--treasurer");
    const ids = JSON.parse(
      await Deno.readTextFile(
        join(folder, "runs", `localnet-${new URL(localnet.rpcUrl).port}`, "programs.json"),
      ),
    );
    const programs = [
      "--authorizer-program-id",
      ids.authorizer.programId,
      "--coordinator-program-id",
      ids.coordinator.programId,
      "--treasurer-program-id",
      ids.treasurer.programId,
    ];

    await t.step("the life of a run", () =>
      over(spoilt, async (proxy, rpc) => {
        const args = [...rpc, ...programs, "-w", ownerFile];
        await done("join-authorization-create", ...args, "--permissionless");
        await done("create-run", "-r", "bad", ...args);
        const config = ["--config-path", "config/solana-test/nano-config.toml"];
        await done("update-config", "-r", "bad", ...args, ...config);
        await done("set-paused", "-r", "bad", ...args, "--resume");
        await done("set-future-epoch-rates", "-r", "bad", ...args, "--earning-rate", "9");
        const dump = await done("json-info-dump", "-r", "bad", ...rpc, ...programs);
        assert.equal(dump.coordinator_account.status.state, "Waiting for members");
        assert.equal(dump.coordinator_account.epoch.rates.future.earning, 9);
        // update, set_paused and set_future_epoch_rates, each exactly once.
        assert.equal(dump.coordinator_account.nonce, 3);
        assert.ok(proxy.seen.some(({ fault }) => fault !== "pass"), `seed ${seed}`);
      }));

    await t.step("looking, ticking, pausing, closing", () =>
      over(spoilt, async (_, rpc) => {
        const reader = [...rpc, ...programs];
        const args = [...reader, "-w", ownerFile];
        const me = owner.publicKey.toBase58();
        const { runs } = await done("list-runs", ...reader);
        assert.equal(runs.length, 1);
        const user = await done("json-dump-user", "-r", "bad", ...reader, "--address", me);
        assert.equal(user.address, me);
        await done("can-join", "-r", "bad", ...reader, "--address", me);
        const right = await done("join-authorization-read", ...reader, "--join-authority", me);
        assert.equal(right.active, true);
        await done("verify-program", ...reader);
        await done("tick", "-r", "bad", ...args, "--count", "1");
        await done("update-config", "-r", "bad", ...args, "--name", "renamed");
        await done("set-paused", "-r", "bad", ...args);
        await done("join-authorization-delete", ...args, "--authorizer", SYSTEM_PROGRAM);
        await done("create-run", "-r", "second", ...args);
        await done("close-run", "-r", "second", ...args, "--yes");
        const dump = await done("json-info-dump", "-r", "bad", ...reader);
        assert.equal(dump.coordinator_account.setup.metadata.name, "renamed");
        // After the three of its life: tick, update, set_paused.
        assert.equal(dump.coordinator_account.nonce, 6);
        await done("set-paused", "-r", "bad", ...args, "--resume");
      }));

    await t.step("a run with rewards", () =>
      over(spoilt, async (_, rpc) => {
        const args = [...rpc, ...programs, "-w", ownerFile];
        const { mint } = await done("create-test-token", ...args);
        await done("create-run", "-r", "paid", ...args, "--treasurer-collateral-mint", mint);
        await done("set-future-epoch-rates", "-r", "paid", ...args, "--earning-rate", "5");
        await done(
          "treasurer-top-up-rewards",
          "-r",
          "paid",
          ...args,
          "--collateral-amount",
          "7raw",
        );
        await done("treasurer-claim-rewards", "-r", "paid", ...args);
        const dump = await done("json-info-dump", "-r", "paid", ...rpc, ...programs);
        assert.equal(dump.treasurer_run.funded_collateral_amount, "7");
      }));

    await t.step("fund_accounts: everybody once", () =>
      over(spoilt, async (_, rpc) => {
        const result = await done("fund_accounts", ownerFile, "50", "--yes", ...rpc, ...programs);
        const addresses = result.funded.map((it: { address: string }) => new PublicKey(it.address));
        assert.equal(addresses.length, 50);
        assert.deepEqual(await balances(addresses), Array(50).fill(SOL), `seed ${seed}`);
      }));

    await t.step(
      "interrupted after the transfers went out: the next run pays nobody again",
      () =>
        over(
          // Sent, and then never another answer.
          (() => {
            let isOver = false;
            return (method: string): Fault => {
              if (method === "sendTransaction") {
                isOver = true;
                return "lose answer";
              }
              return isOver ? "drop" : "pass";
            };
          })(),
          async (proxy, rpc) => {
            const args = [
              ownerFile,
              "30",
              "--yes",
              "--keys-directory",
              "devnet_funded_accounts/cut",
            ];
            const child = spawnScript("fund_accounts", [...args, ...rpc, ...programs], folder);
            const ended = child.output();
            while (!proxy.seen.some(({ method }) => method === "sendTransaction")) {
              await new Promise((resolve) => setTimeout(resolve, 5));
            }
            await new Promise((resolve) => setTimeout(resolve, 200));
            child.kill("SIGINT");
            assert.equal((await ended).code, 1);
            const result = await done("fund_accounts", ...args, ...direct.slice(0, 2));
            assert.ok(result.settledBefore > 0);
            const list = await Deno.readTextFile(
              join(folder, "devnet_funded_accounts/cut/pubkeys.txt"),
            );
            const keys = list.trim().split("\n").map((line) => new PublicKey(line));
            assert.deepEqual(await balances(keys), Array(30).fill(SOL));
          },
        ),
    );

    await t.step("transfers that expired unseen are signed anew", async () => {
      // A blockhash lives for 150 slots, here for a second and a half.
      const fast = await spawnLocalnet({ slotMs: 10 });
      let sends = 0;
      const proxy = await startFaultyProxy(
        fast.rpcUrl,
        (method) => method === "sendTransaction" && sends++ < 2 ? "swallow" : "pass",
      );
      try {
        const directory = "devnet_funded_accounts/late";
        const rpc = ["--rpc", proxy.url, "--ws-rpc", fast.wsUrl];
        const args = [ownerFile, "30", "--yes", "--keys-directory", directory, ...rpc];
        const result = await done("fund_accounts", ...args, ...programs);
        assert.equal(result.funded.length, 30);
        const sent = proxy.seen.filter(({ method }) => method === "sendTransaction");
        assert.equal(new Set(sent.map(({ params }) => params[0])).size, 4);
        const again = await done("fund_accounts", ...args, ...programs);
        assert.equal(again.alreadyFunded, 30);
      } finally {
        await proxy.stop();
        await fast.stop();
      }
    });

    await t.step(
      "a first address that only fails is asked little",
      () =>
        over(() => 503, async (proxy, [_, url]) => {
          const rpc = ["--rpc", url, "--ws-rpc", localnet.wsUrl, "--rpc-2", localnet.rpcUrl];
          const args = ["-r", "bad", ...rpc, ...programs, "-w", ownerFile];
          assert.equal((await done("set-paused", ...args)).after, "Paused");
          const sent = proxy.seen.filter(({ method }) => method === "sendTransaction");
          assert.ok(proxy.seen.length < 15 && sent.length <= 1, `${proxy.seen.length} requests`);
        }),
    );

    await t.step("what is left, over a slow network with a rate limit", async () => {
      let requests = 0;
      const slow = (): Fault => {
        requests++;
        if (requests % 9 === 0) return 503;
        return requests % 7 === 0 ? 429 : "delay";
      };
      await over(slow, async (proxy, rpc) => {
        const me = owner.publicKey.toBase58();
        const args = [...rpc, ...programs, "-w", ownerFile];
        await done("coordinator-address-check", ...rpc, ...programs, "--yes");
        await done("join-authorization-create", ...args, "--authorizer", me);
        const authority = ["--join-authority", me];
        const added = ["--delegates-added", ids.coordinator.programId];
        const { view } = await done("join-authorization-delegate", ...args, ...authority, ...added);
        assert.deepEqual(view.delegates, [ids.coordinator.programId]);
        const refused = await runScript(
          "checkpoint",
          ["-r", "bad", ...args, "--repo", "a/b", "--json"],
          folder,
        );
        assert.equal(refused.code, 1);
        assert.equal(JSON.parse(refused.stdout).error.code, "NOT_AN_EPOCH_CLIENT");
        const { closed } = await done("close-programs", ...args, "--yes");
        assert.equal(closed.length, 3);
        assert.ok(proxy.seen.some(({ fault }) => fault === 429), "a 429 was answered");
      });
    });
  } finally {
    await closeConnection(connection);
    await localnet.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
