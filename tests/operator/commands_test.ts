/** Every other operator command, as processes against one localnet whose run pays rewards. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Keypair, PublicKey } from "@solana/web3.js";
import { loadWallet, writeWallet } from "../../lib/chain/wallet.ts";
import { applyConfig } from "../../lib/operator/apply_config.ts";
import { closeOperator, openOperator } from "../../lib/operator/context.ts";
import { makeWorkspace, readText, runScript, spawnScript } from "./script.ts";

Deno.test("operator commands on a run with rewards", async (t) => {
  const folder = await makeWorkspace();
  const setup = spawnScript(
    "setup-localnet",
    ["--rpc-port", "0", "--clock-rate", "20", "--treasurer"],
    folder,
  );
  const talk = readText(setup.stderr);
  const results = readText(setup.stdout);
  try {
    const text = await talk.until('run "test" at');
    await results.until("Confirmed commitment\n");
    const rpc = /RPC (http:\/\/\S+?)\/?,/.exec(text)?.[1] ?? assert.fail(text);
    const run = (name: string, ...args: string[]) => runScript(name, args, folder);
    const json = async (name: string, ...args: string[]) => {
      const result = await run(name, ...args, "--json");
      try {
        return { ...result, value: JSON.parse(result.stdout) };
      } catch {
        throw new Error(`${name} ${args.join(" ")}: ${result.stdout}${result.stderr}`);
      }
    };
    /** Runs a command that must succeed. */
    const done = async (name: string, ...args: string[]) => {
      const result = await json(name, ...args);
      assert.equal(result.code, 0, `${name} ${args.join(" ")}: ${result.stdout}${result.stderr}`);
      return result.value;
    };
    /** The error code of a command that must fail. */
    const refused = async (name: string, ...args: string[]) => {
      const result = await json(name, ...args);
      assert.equal(result.code, 1, `${name} ${args.join(" ")}: ${result.stdout}${result.stderr}`);
      return result.value.error.code;
    };
    const owner = join(folder, ".psyche/keys/localnet-owner.json");
    const client = Keypair.generate();
    const clientFile = join(folder, "client.json");
    await writeWallet(clientFile, client);
    const clientAddress = client.publicKey.toBase58();
    const ownerAddress = (await done("json-info-dump", "-r", "test")).treasurer_run.main_authority;

    await t.step("the run belongs to its treasurer, and the dump shows its money", async () => {
      const dump = await done("json-info-dump", "-r", "test");
      const { treasurer_run: treasurer, coordinator_instance: instance } = dump;
      assert.equal(treasurer.address, instance.main_authority);
      assert.equal(treasurer.index, 7313085519096743583n.toString());
      assert.equal(treasurer.funded_collateral_amount, "10");
      assert.equal(dump.coordinator_account.epoch.rates.future.earning, 10);
      assert.equal(dump.coordinator_account.status.state, "Waiting for members");
      // The short name is the same command.
      assert.deepEqual(await done("json-dump-run", "-r", "test"), dump);
    });

    await t.step("owner commands take the treasurer's way", async () => {
      assert.equal((await done("set-paused", "-r", "test")).after, "Paused");
      const update = await done(
        "update-config",
        ...["-r", "test", "--name", "Rewarded", "--client-version", "2"],
      );
      assert.deepEqual(update.changes.map((c: { field: string }) => c.field), [
        "metadata.name",
        "client_version",
      ]);
      assert.equal(
        (await done("set-paused", "-r", "test", "--resume")).after,
        "Waiting for members",
      );
      assert.equal(await refused("set-paused", "-r", "test", "-w", clientFile), "NOT_RUN_OWNER");
      const index = ["--treasurer-index", "5"];
      assert.equal(await refused("set-paused", "-r", "test", ...index), "TREASURER_NOT_FOUND");
    });

    await t.step("update-config --apply pauses, updates and resumes", async () => {
      const args = ["-r", "test", "--client-version", "test"];
      assert.equal(await refused("update-config", ...args), "RUN_NOT_HALTED");
      const dry = await run("update-config", ...args, "--apply", "--dry-run");
      assert.match(dry.stdout, /client_version: 2 -> test\n.*would be paused, updated and resumed/);
      const { stderr, value, code } = await json("update-config", ...args, "--apply");
      assert.equal(code, 0, stderr);
      assert.match(stderr, /pausing the run, which is in the state "Waiting for members"/);
      assert.equal(value.resumed.after, "Waiting for members");
      const bad = await json("update-config", "-r", "test", "--name", "x".repeat(65), "--apply");
      assert.equal(bad.value.error.code, "TEXT_TOO_LONG");
      const dump = await done("json-info-dump", "-r", "test");
      assert.equal(dump.coordinator_account.setup.client_version, "test");
      assert.equal(dump.coordinator_account.status.state, "Waiting for members");
    });

    await t.step("update-config tells of both transactions where one is too small", async () => {
      const path = join(folder, "config/solana-test/nano-config.toml");
      const before = (await Deno.readTextFile(path)).replace("127.0.0.1:8899", new URL(rpc).host);
      await Deno.writeTextFile(join(folder, "before.toml"), before);
      await Deno.writeTextFile(
        join(folder, "after.toml"),
        before.replace(/epoch_time = \d+/, "epoch_time = 777").replace("/factbook", "/atlas"),
      );
      const args = [
        ...["-r", "test", "--apply", "--config-path", "after.toml", "--restart-from-step", "3"],
        ...["--name", "n".repeat(64), "--description", "d".repeat(280)],
        ...["--client-version", "v".repeat(96), "--priority-fee", "1"],
      ];
      const { stdout, stderr, code } = await run("update-config", ...args);
      assert.equal(code, 0, stderr);
      const signatures = stdout.match(/^signature \w+$/gm) ?? [];
      assert.equal(new Set(signatures).size, 2, stdout);
      assert.equal(stdout.match(/^fee /gm)?.length, 2);
      const { metadataOutcome, outcome } = await done(
        "update-config",
        ...["-r", "test", "--apply", "--config-path", "before.toml", "--restart-from-step", "1"],
        ...["--name", "Rewarded", "--description", "d".repeat(279), "--client-version", "test"],
      );
      assert.deepEqual([metadataOutcome, outcome.dryRun], [null, false]);
    });

    await t.step(
      "an interruption right before the run is resumed says that it is not",
      async () => {
        const interruption = new AbortController();
        const { signal } = interruption;
        const { keypair: payer } = await loadWallet(owner);
        const runsDirectory = join(folder, "runs");
        const context = await openOperator({ rpc, payer, runsDirectory, signal });
        const said: string[] = [];
        const onStep = (line: string) => {
          said.push(line);
          if (line === "resuming the run") interruption.abort(new Error("interrupted"));
        };
        await assert.rejects(
          applyConfig(context, "test", { clientVersion: "3", onStep }),
          /interrupted/,
        );
        await closeOperator(context);
        assert.equal(said.at(-1), "the run is left paused; resume it with set-paused --resume");
        assert.equal((await done("set-paused", "-r", "test", "--resume")).before, "Paused");
        await done("update-config", "-r", "test", "--client-version", "test", "--apply");
      },
    );

    await t.step("set-future-epoch-rates in points and in tokens", async () => {
      const raw = await done("set-future-epoch-rates", "-r", "test", "--earning-rate", "1000");
      assert.deepEqual(raw.earningRateTotalShared, {
        before: 10,
        after: 1000,
        tokens: { raw: 1000, ui: "1000" },
      });
      const ui = ["--earning-rate-total-shared", "7", "--slashing-rate-per-client", "3raw"];
      const both = await done("set-future-epoch-rates", "-r", "test", ...ui);
      assert.deepEqual([both.earningRateTotalShared.after, both.slashingRatePerClient.after], [
        7,
        3,
      ]);
      assert.equal((await done("set-future-epoch-rates", "-r", "test", ...ui)).outcome, null);
      const usage = await run("set-future-epoch-rates", "-r", "test");
      assert.equal(usage.code, 2);
      const twice = ["--earning-rate", "1", "--earning-rate-total-shared", "1"];
      assert.match(
        (await run("set-future-epoch-rates", "-r", "test", ...twice)).stderr,
        /two units/,
      );
    });

    await t.step("treasurer-top-up-rewards: both units, too much, no tokens", async () => {
      const top = await done("treasurer-top-up-rewards", "-r", "test", "--collateral-amount", "90");
      assert.deepEqual([top.treasurerBefore.raw, top.treasurerAfter.raw], [10, 100]);
      const args = ["treasurer-top-up-rewards", "-r", "test", "--collateral-amount"] as const;
      const dry = await run(...args, "5ui", "--dry-run");
      assert.match(dry.stdout, /paid in: 5 tokens \(5 base units\)/);
      assert.match(dry.stdout, /compute units/);
      assert.equal(await refused(...args, "100000000"), "TOKENS_TOO_FEW");
      assert.equal(await refused(...args, "1", "-w", clientFile), "TOKENS_TOO_FEW");
    });

    await t.step("treasurer-claim-rewards: nothing earned, nothing sent", async () => {
      const claim = await done("treasurer-claim-rewards", "-r", "test", "-w", clientFile);
      assert.deepEqual([claim.claimed.raw, claim.outcome], [0, null]);
    });

    await t.step("create-run with a treasurer: token, index, problems at once", async () => {
      const token = await done("create-test-token", "--rpc", rpc, "--decimals", "6");
      const mint = ["--treasurer-collateral-mint", token.mint];
      const created = await done(
        "create-run",
        ...["-r", "paid", "--rpc", rpc, ...mint, "--treasurer-index", "42"],
      );
      assert.equal(created.treasurer.index, "42");
      // The index comes from the record.
      const rates = ["-r", "paid", "--earning-rate-total-shared", "1.25"];
      const set = await done("set-future-epoch-rates", ...rates);
      assert.equal(set.earningRateTotalShared.after, 1_250_000);
      assert.equal(
        await refused(
          "create-run",
          "-r",
          "other",
          "--rpc",
          rpc,
          ...mint,
          "--treasurer-index",
          "42",
        ),
        "TREASURER_INDEX_TAKEN",
      );
      const noMint = ["--treasurer-collateral-mint", clientAddress];
      const both = await json(
        "create-run",
        ...["-r", "test", "--rpc", rpc, "--treasurer-index", "42", ...noMint],
      );
      for (const code of ["RUN_EXISTS", "MINT_NOT_FOUND", "TREASURER_INDEX_TAKEN"]) {
        assert.ok(both.value.error.message.includes(`[${code}]`), both.value.error.message);
      }
      assert.equal((await run("create-run", "-r", "x", "--treasurer-index", "1")).code, 2);
    });

    await t.step("plain runs: rates in points only, close-run", async () => {
      await done("create-run", "-r", "plain", "--rpc", rpc);
      const rates = ["-r", "plain", "--earning-rate", "5"];
      assert.equal(
        (await done("set-future-epoch-rates", ...rates)).earningRateTotalShared.after,
        5,
      );
      const tokens = ["-r", "plain", "--earning-rate-total-shared", "5"];
      assert.equal(await refused("set-future-epoch-rates", ...tokens), "RATE_NEEDS_TREASURER");
      assert.equal(await refused("close-run", "-r", "plain"), "CONFIRMATION_NEEDED");
      assert.equal(await refused("close-run", "-r", "plain", "-w", clientFile), "NOT_RUN_OWNER");
      const dry = await run("close-run", "-r", "plain", "--dry-run");
      assert.match(dry.stdout, /would be closed/);
      const closed = await done("close-run", "-r", "plain", "--yes");
      assert.ok(closed.recoveredLamports > 800_000_000);
      assert.equal(await refused("json-info-dump", "-r", "plain", "--rpc", rpc), "RUN_NOT_FOUND");
      const treasured = await json("close-run", "-r", "test", "--yes");
      assert.match(treasured.value.error.message, /RUN_HAS_TREASURER.*RUN_NOT_HALTED/s);
    });

    await t.step("authorizations: read, delegate, delete", async () => {
      const authority = ["--join-authority", ownerAddress, "--rpc", rpc];
      assert.equal((await done("join-authorization-read", ...authority)).active, true);
      const mine = [...authority, "--authorizer", clientAddress];
      assert.equal(await refused("join-authorization-read", ...mine), "AUTHORIZATION_NOT_FOUND");
      await done("join-authorization-create", rpc, owner, clientAddress);
      const keys = Array.from({ length: 30 }, () => Keypair.generate().publicKey.toBase58());
      const delegate = (...args: string[]) =>
        done("join-authorization-delegate", "-w", clientFile, ...authority, ...args);
      const added = await delegate("--delegates-added", ...keys);
      assert.deepEqual([added.outcomes.length, added.view.delegates], [2, keys]);
      const again = await delegate("--delegate-added", keys[0]);
      assert.deepEqual([again.added, again.outcomes], [[], []]);
      const replaced = await delegate("--delegates-clear", "--delegates-added", clientFile);
      assert.deepEqual(replaced.view.delegates, [clientAddress]);
      const files = [clientFile, owner];
      const set = await done(
        "join-authorization-set-delegates",
        ...[rpc, ownerAddress, clientFile, ...files],
      );
      assert.deepEqual(set.view.delegates, [clientAddress, ownerAddress]);
      const revoke = ["--rpc", rpc, "-w", owner, "--authorizer", clientAddress];
      assert.equal(
        await refused("join-authorization-delete", ...revoke, "--close"),
        "AuthorizationClosingConditionsNotReachedYet",
      );
      assert.deepEqual((await delegate("--delegates-clear")).view.delegates, []);
      const tried = await done("join-authorization-delete", ...revoke, "--close", "--dry-run");
      assert.deepEqual([tried.view.active, tried.closed, tried.outcome.dryRun], [
        true,
        false,
        true,
      ]);
      const off = await done("join-authorization-delete", ...revoke);
      assert.deepEqual([off.view.active, off.closed], [false, false]);
      assert.equal((await done("join-authorization-delete", ...revoke)).outcome, null);
      assert.equal((await done("join-authorization-delete", ...revoke, "--close")).closed, true);
      assert.equal(await refused("join-authorization-read", ...mine), "AUTHORIZATION_NOT_FOUND");
    });

    await t.step("can-join: yes, and everything that stands in the way", async () => {
      const verdict = await done("can-join", "-r", "test", "--wallet", clientAddress);
      assert.deepEqual([verdict.canJoin, verdict.halted, verdict.clientVersion], [
        true,
        false,
        "test",
      ]);
      await done("create-run", "-r", "closed", "--rpc", rpc, "--join-authority", clientAddress);
      const refusal = await json("can-join", "-r", "closed", "--address", ownerAddress);
      assert.equal(refusal.value.error.code, "NOT_AUTHORIZED");
      assert.ok(refusal.value.error.message.includes(clientAddress));
      assert.equal((await run("can-join", "-r", "test", "--address", "nonsense")).code, 2);
    });

    await t.step("checkpoint is for clients of the epoch", async () => {
      const args = ["-r", "test", "-w", owner, "--repo"];
      assert.equal(await refused("checkpoint", ...args, "a/b"), "NOT_AN_EPOCH_CLIENT");
      const long = await json("checkpoint", ...args, "x".repeat(70));
      assert.match(long.value.error.message, /NOT_AN_EPOCH_CLIENT.*TEXT_TOO_LONG/s);
    });

    await t.step("list-runs: what waits first; filters; a table", async () => {
      const all = await done("list-runs", "--rpc", rpc);
      assert.deepEqual(all.runs.map((r: { runId: string }) => r.runId), ["test", "closed", "paid"]);
      assert.match(all.runs[0].clients, /^0\/\d+ waiting$/);
      assert.equal(all.runs[1].clients, "-");
      const active = await run("list-runs", "--rpc", rpc, "--active");
      assert.match(active.stdout, /^1 run of[^\n]*\nrun-id +state +clients +epoch time +time left/);
      const own = await done("list-runs", "--rpc", rpc, "--authorizer", clientAddress);
      assert.deepEqual(own.runs.map((r: { runId: string }) => r.runId), ["closed"]);
    });

    await t.step("json-dump-user", async () => {
      const user = await done("json-dump-user", "-r", "test", "--user", ownerAddress);
      assert.equal(user.coordinator_account.client, null);
      assert.equal(user.treasurer_participant.collateral_amount, `${1_000_000 - 100}`);
      assert.equal(user.treasurer_participant.claimed_earned_points, null);
    });

    await t.step("verify-program and the address check", async () => {
      const all = "authorizer,coordinator,treasurer";
      const { programs } = await done("verify-program", "--rpc", rpc, "--program", all);
      for (const program of programs) {
        assert.equal(program.verdict, "same");
        assert.equal(program.upgradeAuthority, ownerAddress);
        for (const { found, expected } of program.boundIds) assert.equal(found, expected);
      }
      const bytes = await Deno.readFile(join(folder, "programs/coordinator.so"));
      bytes[bytes.length - 1] ^= 1;
      await Deno.mkdir(join(folder, "other"));
      await Deno.writeFile(join(folder, "other/coordinator.so"), bytes);
      const other = await run(
        "verify-program",
        ...["--rpc", rpc, "--program", "coordinator", "--programs-directory", "other"],
      );
      assert.equal(other.code, 1);
      assert.match(other.stdout, /NOT the same/);
      assert.match(other.stderr, /error\[PROGRAM_DIFFERS\]/);
      const absent = ["--rpc", rpc, "--coordinator-program-id", clientAddress];
      assert.match((await run("verify-program", ...absent)).stdout, /no program there/);
      assert.equal(await refused("coordinator-address-check", "--rpc", rpc), "CONFIRMATION_NEEDED");
      await done("coordinator-address-check", "--rpc", rpc, "--yes");
    });

    await t.step("setup-run on a cluster that has everything, and a second run", async () => {
      const second = await done("setup-run", "second", "--rpc", rpc, "--permissioned");
      assert.equal(second.collateralMint, null);
      assert.ok(new PublicKey(second.coordinatorAddress));
      assert.deepEqual(await done("setup-run", "second", "--rpc", rpc), second);
    });

    await t.step("fail-over: a dead first address, by flag and by variable", async () => {
      const dead = ["-r", "test", "--rpc", "http://127.0.0.1:9"];
      const flag = await json("json-info-dump", ...dead, "--rpc-2", rpc);
      assert.equal(flag.code, 0, flag.stdout);
      assert.match(flag.stderr, /warning: http:\/\/127\.0\.0\.1:9 failed/);
      await Deno.writeTextFile(join(folder, "fallback.env"), `RPC_3="${rpc}"\n`);
      const env = await json("json-info-dump", ...dead, "--env-file", "fallback.env");
      assert.equal(env.code, 0, env.stdout);
    });

    await t.step("doctor: what is there, and what is not", async () => {
      const well = await done("doctor", "-r", "test", "--rpc", rpc, "-w", clientFile);
      const verdicts = Object.fromEntries(
        well.findings.map((it: { what: string; verdict: string }) => [it.what, it.verdict]),
      );
      for (const what of ["RPC", "websocket", "clock", "coordinator program", 'run "test"']) {
        assert.equal(verdicts[what], "good", what);
      }
      const ill = await run("doctor", "-r", "closed", "--rpc", rpc, "-w", owner);
      assert.equal(ill.code, 1);
      assert.match(ill.stdout, /bad +run "closed" +The run "closed" is permissioned/);
      assert.match(ill.stderr, /error\[NOT_READY\]/);
    });

    await t.step("identities and configuration files need no cluster", async () => {
      const made = await done("create-static-p2p-identity", "id.key");
      const shown = await done("show-static-p2p-identity", "id.key", "--secret");
      assert.equal(shown.publicKey, made.publicKey);
      assert.match(shown.secretKey, /^[0-9a-f]{64}$/);
      assert.equal(
        await refused("create-static-p2p-identity", "id.key"),
        "P2P_IDENTITY_FILE_EXISTS",
      );
      assert.equal((await run("show-static-p2p-identity")).code, 2);
      const valid = await done("validate-config", "config/solana-test/nano-config.toml");
      assert.equal(valid.valid, true);
      const source = await Deno.readTextFile(join(folder, "config/solana-test/nano-config.toml"));
      await Deno.writeTextFile(
        join(folder, "bad.toml"),
        source.replace(/min_clients = \d+/g, "min_clients = 0").replace(/total_steps = \d+/, ""),
      );
      const bad = await run("validate-config", "bad.toml");
      assert.equal(bad.code, 1);
      assert.match(bad.stderr, /error\[RUN_CONFIG_INVALID\]/);
    });

    await t.step(
      "close-programs: asks first, keeps what is not ours, closes the rest",
      async () => {
        assert.equal(await refused("close-programs", "--rpc", rpc), "CONFIRMATION_NEEDED");
        const kept = await done("close-programs", "--rpc", rpc, "-w", clientFile, "--yes");
        assert.deepEqual([kept.closed.length, kept.kept.length], [0, 3]);
        const dry = await done("close-programs", "--rpc", rpc, "--dry-run");
        assert.deepEqual(dry.closed.map((p: { name: string }) => p.name), [
          "treasurer",
          "coordinator",
          "authorizer",
        ]);
        const closed = await done("close-programs", "--rpc", rpc, "--yes");
        assert.equal(closed.closed.length, 3);
        const again = await done("close-programs", "--rpc", rpc, "--yes");
        assert.deepEqual(again.kept.map((p: { reason: string }) => p.reason), [
          "no program there",
          "no program there",
          "no program there",
        ]);
      },
    );
  } finally {
    setup.kill("SIGINT");
    await setup.status;
    await Deno.remove(folder, { recursive: true });
  }
});
