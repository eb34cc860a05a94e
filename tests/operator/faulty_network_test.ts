/** Commands over a network that delays, drops and refuses: they succeed, and everything happens once. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Keypair, PublicKey } from "@solana/web3.js";
import { closeConnection, openConnection } from "../../lib/chain/connection.ts";
import { writeWallet } from "../../lib/chain/wallet.ts";
import { COMMAND_TABLE } from "../../lib/cli/command_table.ts";
import { spawnLocalnet } from "../../lib/localnet/spawn.ts";
import { prepareDemo } from "../../lib/operator/prepare_demo.ts";
import { definitions } from "../../scripts/generate-docs.ts";
import { openBadNetwork } from "./bad_network.ts";
import { type Fault, startFaultyProxy } from "./faulty_proxy.ts";
import { runScript, spawnScript } from "./script.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SOL = 1_000_000_000;
/** As a grantee: everybody. */
const SYSTEM_PROGRAM = "11111111111111111111111111111111";
const NANO = "config/solana-test/nano-config.toml";

Deno.test("commands over a bad network", async (t) => {
  const { dataDirectory, modelDirectory } = await prepareDemo(`${ROOT}.psyche`);
  const network = await openBadNetwork({
    clockRate: 20,
    serve: [{ name: "data", folder: dataDirectory }],
  });
  const { folder, localnet, seed, spoilt, over, exercised } = network;
  const connection = openConnection({ rpcUrl: localnet.rpcUrl, wsUrl: localnet.wsUrl });
  const balances = async (addresses: PublicKey[]) =>
    (await connection.getMultipleAccountsInfo(addresses)).map((account) => account?.lamports ?? 0);
  /** Steps of different chains run side by side: most of their time is waiting. */
  const step = (name: string, fn: () => Promise<void>) =>
    t.step({ name, fn, sanitizeOps: false, sanitizeResources: false, sanitizeExit: false });
  const direct = async (name: string, ...args: string[]) => {
    const { code, stdout, stderr } = await runScript(name, [...args, "--json"], folder);
    assert.equal(code, 0, `${name}: ${stdout}${stderr}`);
    return JSON.parse(stdout);
  };
  try {
    const owner = Keypair.generate();
    const me = owner.publicKey.toBase58();
    const ownerFile = join(folder, "owner.json");
    await writeWallet(ownerFile, owner);
    const deployed = await direct(
      "deploy-solana-test",
      ...["--rpc", localnet.rpcUrl, "-w", ownerFile, "--treasurer"],
    );
    const ids: Record<string, string> = Object.fromEntries(
      deployed.programs.map((it: { name: string; programId: string }) => [it.name, it.programId]),
    );
    const programs = Object.entries(ids).flatMap(([name, id]) => [`--${name}-program-id`, id]);

    const ownersRuns = async () => {
      await step("the life of a run", () =>
        over(spoilt(), async ({ rpc, done }) => {
          const args = [...rpc, ...programs, "-w", ownerFile];
          await done("join-authorization-create", ...args, "--permissionless");
          await done("create-run", "-r", "bad", ...args);
          await done("update-config", "-r", "bad", ...args, "--config-path", NANO);
          await done("set-paused", "-r", "bad", ...args, "--resume");
          await done("set-future-epoch-rates", "-r", "bad", ...args, "--earning-rate", "9");
          const dump = await done("json-info-dump", "-r", "bad", ...rpc, ...programs);
          assert.equal(dump.coordinator_account.status.state, "Waiting for members");
          assert.equal(dump.coordinator_account.epoch.rates.future.earning, 9);
          // update, set_paused and set_future_epoch_rates, each exactly once.
          assert.equal(dump.coordinator_account.nonce, 3);
        }));

      await step(
        "looking, ticking, pausing, closing",
        () =>
          over(spoilt(), async ({ rpc, done, fails }) => {
            const reader = [...rpc, ...programs];
            const args = [...reader, "-w", ownerFile];
            const { runs } = await done("list-runs", ...reader);
            assert.ok(runs.some((run: { runId: string }) => run.runId === "bad"));
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
            await fails("NOT_AN_EPOCH_CLIENT", "checkpoint", "-r", "bad", ...args, "--repo", "a/b");
            await done("create-run", "-r", "second", ...args);
            await done("close-run", "-r", "second", ...args, "--yes");
            const dump = await done("json-info-dump", "-r", "bad", ...reader);
            assert.equal(dump.coordinator_account.setup.metadata.name, "renamed");
            // After the three of its life: tick, update, set_paused.
            assert.equal(dump.coordinator_account.nonce, 6);
            await done("set-paused", "-r", "bad", ...args, "--resume");
          }),
      );

      await step(
        "a first address that only fails is asked little",
        () =>
          over(() => 503, async ({ proxy, rpc: [, url], done }) => {
            const rpc = ["--rpc", url, "--ws-rpc", localnet.wsUrl, "--rpc-2", localnet.rpcUrl];
            const args = ["-r", "bad", ...rpc, ...programs, "-w", ownerFile];
            assert.equal((await done("set-paused", ...args)).after, "Paused");
            const sent = proxy.seen.filter(({ method }) => method === "sendTransaction");
            assert.ok(proxy.seen.length < 15 && sent.length <= 1, `${proxy.seen.length} requests`);
          }),
      );
    };

    const rewards = () =>
      step("a run with rewards", () =>
        over(spoilt(), async ({ rpc, done }) => {
          const args = [...rpc, ...programs, "-w", ownerFile];
          const run = ["-r", "paid", ...args];
          const { mint } = await done("create-test-token", ...args);
          await done("create-run", ...run, "--treasurer-collateral-mint", mint);
          await done("set-future-epoch-rates", ...run, "--earning-rate", "5");
          await done("treasurer-top-up-rewards", ...run, "--collateral-amount", "7raw");
          await done("treasurer-claim-rewards", ...run);
          const dump = await done("json-info-dump", "-r", "paid", ...rpc, ...programs);
          assert.equal(dump.treasurer_run.funded_collateral_amount, "7");
        }));

    const funding = async () => {
      await step("fund_accounts: everybody once", () =>
        over(spoilt(), async ({ rpc, done }) => {
          const result = await done("fund_accounts", ownerFile, "50", "--yes", ...rpc, ...programs);
          const keys = result.funded.map((it: { address: string }) => new PublicKey(it.address));
          assert.equal(keys.length, 50);
          assert.deepEqual(await balances(keys), Array(50).fill(SOL), `seed ${seed}`);
        }));

      await step("interrupted after the transfers went out: the next run pays nobody again", () => {
        // Sent, and then never another answer.
        let isOver = false;
        const silent = (method: string): Fault => {
          if (method === "sendTransaction") {
            isOver = true;
            return "lose answer";
          }
          return isOver ? "drop" : "pass";
        };
        return over(silent, async ({ proxy, rpc }) => {
          const directory = "devnet_funded_accounts/cut";
          const args = [ownerFile, "30", "--yes", "--keys-directory", directory, ...programs];
          const child = spawnScript("fund_accounts", [...args, ...rpc], folder);
          const ended = child.output();
          while (!proxy.seen.some(({ method }) => method === "sendTransaction")) {
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
          await new Promise((resolve) => setTimeout(resolve, 200));
          child.kill("SIGINT");
          assert.equal((await ended).code, 130);
          const result = await direct("fund_accounts", ...args, "--rpc", localnet.rpcUrl);
          assert.ok(result.settledBefore > 0);
          const list = await Deno.readTextFile(join(folder, directory, "pubkeys.txt"));
          const keys = list.trim().split("\n").map((line) => new PublicKey(line));
          assert.deepEqual(await balances(keys), Array(30).fill(SOL));
        });
      });

      await step("transfers that expired unseen are signed anew", async () => {
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
          const result = await direct("fund_accounts", ...args, ...programs);
          assert.equal(result.funded.length, 30);
          const sent = proxy.seen.filter(({ method }) => method === "sendTransaction");
          assert.equal(new Set(sent.map(({ params }) => params[0])).size, 4);
          const again = await direct("fund_accounts", ...args, ...programs);
          assert.equal(again.alreadyFunded, 30);
        } finally {
          await proxy.stop();
          await fast.stop();
        }
      });
    };

    const training = () =>
      step(
        "a run is set up, and a client trains it to its end",
        () =>
          over(spoilt(), async ({ rpc, done, ends }) => {
            const model = ".psyche/models/nano";
            await copyFolder(modelDirectory, join(folder, model));
            const text = (await Deno.readTextFile(join(folder, NANO)))
              .replace("http://127.0.0.1:8899", localnet.rpcUrl)
              .replace("total_steps = 300", "total_steps = 8");
            const config = join(folder, "short.toml");
            await Deno.writeTextFile(config, text);
            const run = ["-r", "trained", ...rpc];
            await done("setup-run", ...run, "--config", config, "-w", ownerFile);
            await done("deploy-solana-test", ...rpc, "-w", ownerFile);
            assert.equal((await done("predownload", ...run)).model, model);
            const { findings } = await ends([0, 1], "doctor", ...run, "-w", ownerFile);
            const answer = findings.find(({ what }: { what: string }) => what === "RPC");
            assert.equal(answer.verdict, "good", `seed ${seed}: ${answer.detail}`);
            const own = ["--threads", "1", "--bind-p2p-host", "127.0.0.1"];
            assert.equal((await done("train", ...run, ...own)).stopped, "finished");
            const dump = await done("json-info-dump", ...run);
            assert.equal(dump.coordinator_account.status.state, "Finished");
            const data = join(folder, "data.toml");
            await Deno.writeTextFile(
              data,
              `dir = ${JSON.stringify(dataDirectory)}\ntoken_size = 2\nseq_len = 128\n`,
            );
            await done("data-server", ...run, "--data-config", data, "--port", "0");
            await done("run-owner", "-r", "owned", ...rpc, "--config", config);
          }),
      );

    const authorizations = () =>
      step("authorizations, over a slow network with a rate limit", () => {
        let requests = 0;
        const slow = (): Fault => {
          requests++;
          if (requests % 9 === 0) return 503;
          return requests % 7 === 0 ? 429 : "delay";
        };
        return over(slow, async ({ proxy, rpc, done }) => {
          const args = [...rpc, ...programs, "-w", ownerFile];
          await done("coordinator-address-check", ...rpc, ...programs, "--yes");
          await done("join-authorization-create", ...args, "--authorizer", me);
          const grant = [...args, "--join-authority", me];
          const added = ["--delegates-added", ids.coordinator];
          const { view } = await done("join-authorization-delegate", ...grant, ...added);
          assert.deepEqual(view.delegates, [ids.coordinator]);
          const words = [proxy.url, me, ownerFile, ownerFile];
          const set = await done("join-authorization-set-delegates", ...words, ...programs);
          assert.deepEqual(set.view.delegates, [me]);
          assert.ok(proxy.seen.some(({ fault }) => fault === 429), "a 429 was answered");
        });
      });

    await Promise.all([ownersRuns(), rewards(), funding(), training(), authorizations()]);

    await t.step("programs are closed", () =>
      over(spoilt(), async ({ rpc, done }) => {
        const args = [...rpc, ...programs, "-w", ownerFile];
        const { closed } = await done("close-programs", ...args, "--yes");
        assert.equal(closed.length, 3);
      }));

    await t.step("no command that talks to a cluster was forgotten", async () => {
      const online = COMMAND_TABLE.filter(({ permissions }) => permissions.includes("--allow-net"))
        .map(({ name }) => name);
      const talking = (await definitions()).filter(({ flags }) => "rpc" in flags)
        .map(({ name }) => name).filter((name) => online.includes(name));
      assert.ok(talking.length > 25);
      assert.deepEqual(talking.filter((name) => !exercised.has(name)), []);
    });
  } finally {
    await closeConnection(connection);
    await network.stop();
  }
});

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    await Deno.copyFile(join(from, name), join(to, name));
  }
}
