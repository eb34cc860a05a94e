/** The operator's way, end to end: every command as a process against one localnet. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  leftovers,
  makeWorkspace,
  processesOf,
  readText,
  runScript,
  spawnScript,
} from "./script.ts";

const BANNER = "[+] Testing Solana setup ready, starting Solana logs...\n" +
  "Streaming transaction logs. Confirmed commitment\n";

Deno.test("operator commands", async (t) => {
  const folder = await makeWorkspace();
  const setup = spawnScript(
    "setup-localnet",
    ["--rpc-port", "0", "--clock-rate", "20"],
    folder,
  );
  const [talk, results] = [readText(setup.stderr), readText(setup.stdout)];
  try {
    const text = await talk.until('run "test" at');
    const banner = await results.until("Confirmed commitment\n");
    const rpc = /RPC (http:\/\/\S+?)\/?,/.exec(text)?.[1] ?? assert.fail(text);
    const port = new URL(rpc).port;
    const run = (name: string, ...args: string[]) => runScript(name, args, folder);
    const json = async (name: string, ...args: string[]) => {
      const result = await run(name, ...args, "--json");
      return { ...result, value: JSON.parse(result.stdout) };
    };
    const stateOf = async (runId: string) => {
      const { value } = await json("json-info-dump", "-r", runId, "--rpc", rpc);
      return value.coordinator_account.status.state;
    };
    const owner = join(folder, ".psyche/keys/localnet-owner.json");

    await t.step("setup-localnet prints exactly the two lines, and the run waits", async () => {
      assert.equal(banner, BANNER);
      assert.equal(await stateOf("test"), "Waiting for members");
      const record = JSON.parse(
        await Deno.readTextFile(join(folder, `runs/localnet-${port}/test.json`)),
      );
      assert.equal(record.status, "created");
      assert.equal(record.walletPath, ".psyche/keys/localnet-owner.json");
      if (Deno.build.os !== "windows") {
        assert.equal(Deno.statSync(owner).mode! & 0o777, 0o600);
      }
    });

    await t.step("a wallet file that others may read is warned about", async () => {
      if (Deno.build.os === "windows") return;
      const wallet = join(folder, "loose.json");
      await Deno.copyFile(owner, wallet);
      await Deno.chmod(wallet, 0o644);
      const { code, stderr } = await run("train", "-r", "nowhere", "--rpc", rpc, "-w", wallet);
      assert.equal(code, 1);
      assert.match(stderr, /warning: Other users .* may read the wallet file .*loose\.json/);
      assert.match(stderr, /error\[RUN_NOT_FOUND\]/);
    });

    await t.step("the run's data address is the localnet's, and it answers", async () => {
      const { value } = await json("json-info-dump", "-r", "test");
      const { Http } = value.coordinator_account.setup.model.LLM.data_location;
      const url = Http.location.SingleUrl;
      assert.equal(url, `${rpc}/data/factbook.bin`);
      const response = await fetch(url, { headers: { Range: "bytes=0-3" } });
      assert.equal(response.status, 206);
      assert.equal((await response.arrayBuffer()).byteLength, 4);
    });

    await t.step("deploy-solana-test finds everything in place", async () => {
      const { code, value, stderr } = await json("deploy-solana-test", "--rpc", rpc);
      assert.equal(code, 0, stderr);
      assert.deepEqual(value.programs.map((p: { action: string }) => p.action), [
        "unchanged",
        "unchanged",
      ]);
    });

    await t.step("set-paused knows the run from its record alone, and is idempotent", async () => {
      const dry = await json("set-paused", "-r", "test", "--dry-run");
      assert.equal(dry.code, 0, dry.stdout + dry.stderr);
      assert.equal(await stateOf("test"), "Waiting for members");
      assert.equal((await json("set-paused", "-r", "test")).value.after, "Paused");
      assert.equal((await json("set-paused", "-r", "test")).value.outcome, null);
      assert.equal(await stateOf("test"), "Paused");
    });

    await t.step(
      "update-config shows what changes, sends it, and then has nothing to do",
      async () => {
        const source = await Deno.readTextFile(join(folder, "config/solana-test/nano-config.toml"));
        const changed = source.replace("127.0.0.1:8899", `127.0.0.1:${port}`)
          .replace(/epoch_time = \d+/, "epoch_time = 777");
        await Deno.writeTextFile(join(folder, "changed.toml"), changed);
        const args = ["-r", "test", "--config-path", "changed.toml", "--name", "Nano"];
        const { code, value, stderr } = await json("update-config", ...args);
        assert.equal(code, 0, stderr);
        assert.deepEqual(value.changes.map((c: { field: string }) => c.field), [
          "config.epoch_time",
          "metadata.name",
        ]);
        const again = await json("update-config", ...args);
        assert.deepEqual([again.code, again.value.changes], [0, []]);
      },
    );

    await t.step("resuming and ticking", async () => {
      assert.equal((await json("tick", "-r", "test")).value.error.code, "RUN_HALTED");
      const resumed = await json("set-paused", "-r", "test", "--resume");
      assert.equal(resumed.value.after, "Waiting for members");
      const ticked = await json("tick", "-r", "test", "--count", "2", "--ms-interval", "1");
      assert.equal(ticked.code, 0, ticked.stdout);
      assert.equal(ticked.value.sent, 2);
      const tried = await run("tick", "-r", "test", "--dry-run");
      assert.match(tried.stdout, /^dry run, nothing was sent/);
      assert.doesNotMatch(tried.stdout + tried.stderr, /tick 1|1 tick/);
    });

    await t.step("update-config refuses a run that is not halted, naming its state", async () => {
      const result = await run(
        "update-config",
        ...["-r", "test", "--config-path", "config/solana-test/nano-config.toml"],
      );
      assert.equal(result.code, 1);
      assert.match(result.stderr, /error\[RUN_NOT_HALTED\]: .*"Waiting for members"/);
    });

    await t.step("join-authorization-create: positional form, twice", async () => {
      const grantee = "4SHugWqSXwKE5fqDchkJcPEqnoZE22VYKtSTVm7axbT7";
      const args = [rpc, owner, grantee];
      const first = await json("join-authorization-create", ...args);
      assert.equal(first.value.action, "create and activate", first.stdout + first.stderr);
      const second = await json("join-authorization-create", ...args);
      assert.deepEqual([second.code, second.value.action], [0, null]);
      const open = await json("join-authorization-create", "--rpc", rpc, "--permissionless");
      assert.equal(open.value.action, null);
    });

    await t.step("create-run: a second run, and the same one again", async () => {
      const dry = await json("create-run", "-r", "second", "--rpc", rpc, "--dry-run");
      assert.equal(dry.code, 0, dry.stdout);
      assert.equal(dry.value.recordPath, null);
      const created = await run("create-run", "-r", "second", "--rpc", rpc);
      assert.equal(created.code, 0, created.stderr);
      assert.equal(await stateOf("second"), "Uninitialized");
      const again = await run("create-run", "-r", "second", "--rpc", rpc);
      assert.equal(again.code, 1);
      assert.match(again.stderr, /error\[RUN_EXISTS\]/);
      const early = await run("set-paused", "-r", "second", "--resume");
      assert.match(early.stderr, /error\[RUN_NOT_CONFIGURED\]/);
    });

    await t.step("wrong input: one sentence and the right exit code", async () => {
      await Deno.writeTextFile(join(folder, "bad.json"), "[1,2,3]");
      await Deno.writeTextFile(join(folder, "bad.toml"), "[config\n");
      const cases: [string, string[], number, string][] = [
        ["set-paused", ["-r", "test", "-w", "bad.json"], 1, "WALLET_INVALID"],
        ["set-paused", ["-r", "test", "-w", "none.json"], 1, "WALLET_FILE_MISSING"],
        ["json-info-dump", ["-r", "unknown", "--rpc", rpc], 1, "RUN_NOT_FOUND"],
        ["json-info-dump", ["-r", "x".repeat(33), "--rpc", rpc], 1, "RUN_ID_INVALID"],
        ["json-info-dump", ["-r", "test", "--rpc", "http://127.0.0.1:1"], 1, "RPC_UNREACHABLE"],
        ["update-config", ["-r", "test", "--config-path", "bad.toml"], 1, "RUN_CONFIG_INVALID"],
        [
          "update-config",
          ["-r", "test", "--config-path", "none.toml"],
          1,
          "CONFIG_FILE_UNREADABLE",
        ],
        ["update-config", ["-r", "test"], 2, "USAGE"],
        ["create-run", [], 2, "USAGE"],
        ["join-authorization-create", [rpc, owner, "nonsense"], 2, "ADDRESS_INVALID"],
        ["setup-localnet", ["--rpc-port", port], 1, "PORT_TAKEN"],
        ["deploy-solana-test", ["--programs-directory", "nowhere"], 1, "PROGRAM_FILE_INVALID"],
      ];
      for (const [name, args, code, errorCode] of cases) {
        const result = await run(name, ...args);
        const label = `${name} ${args.join(" ")}: ${result.stderr}`;
        assert.equal(result.code, code, label);
        assert.ok(result.stderr.includes(`error[${errorCode}]`), label);
        assert.equal(result.stdout, "", label);
        assert.ok(!result.stderr.includes("    at "), label);
      }
    });
  } finally {
    setup.kill("SIGINT");
    const { code } = await setup.status;
    await t.step("Ctrl+C ends everything and leaves nothing half done", async () => {
      assert.equal(code, 0);
      assert.deepEqual(processesOf(folder), []);
      assert.deepEqual(await leftovers(folder), []);
      assert.deepEqual(
        [...Deno.readDirSync(join(folder, "runs"))],
        [],
        "records of a dead cluster",
      );
    });
    await Deno.remove(folder, { recursive: true });
  }
});
