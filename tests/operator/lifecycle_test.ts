/** What happens when things end at the wrong time, and a cluster without any program. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { spawnLocalnet } from "../../lib/localnet/spawn.ts";
import {
  leftovers,
  makeWorkspace,
  processesOf,
  readText,
  runScript,
  spawnScript,
} from "./script.ts";

async function inWorkspace(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await makeWorkspace();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const command of ["setup-localnet", "test-validator"]) {
  Deno.test(`a localnet of ${command} that dies is reported, and stdout stays one JSON object`, () =>
    inWorkspace(async (folder) => {
      const setup = spawnScript(command, ["--rpc-port", "0", "--json"], folder);
      const talk = readText(setup.stderr);
      const { pid } = JSON.parse(await readText(setup.stdout).until("\n}\n"));
      Deno.kill(pid, "SIGKILL");
      assert.equal((await setup.status).code, 1);
      await talk.until("error[LOCALNET_ENDED]");
    }));
}

Deno.test("Ctrl+C while programs are being deployed leaves no process and no half file", () =>
  inWorkspace(async (folder) => {
    const setup = spawnScript("setup-localnet", ["--rpc-port", "0"], folder);
    const [talk, results] = [readText(setup.stderr), readText(setup.stdout)];
    await talk.until("coordinator: ");
    // Shows that the search below can find anything at all.
    assert.ok(Deno.build.os !== "linux" || processesOf(folder).length > 0);
    setup.kill("SIGINT");
    assert.equal((await setup.status).code, 130);
    await talk.until("error[INTERRUPTED]");
    await assert.rejects(results.until("[+]"));
    assert.deepEqual(processesOf(folder), []);
    assert.deepEqual(await leftovers(folder), []);
  }));

Deno.test("a command that waits for a silent cluster ends with the exit code of the signal", () =>
  inWorkspace(async (folder) => {
    let asked = Promise.withResolvers<void>();
    const silent = createServer(() => asked.resolve());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    const args = ["--rpc", `http://127.0.0.1:${port}`, "--json"];
    for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      asked = Promise.withResolvers();
      const child = spawnScript("list-runs", args, folder);
      const ended = child.output();
      await asked.promise;
      child.kill(signal);
      const { code: exit, stdout } = await ended;
      assert.equal(exit, code);
      assert.equal(JSON.parse(new TextDecoder().decode(stdout)).error.code, "INTERRUPTED");
    }
    silent.closeAllConnections();
    await new Promise((resolve) => silent.close(resolve));
  }));

Deno.test("a cluster without programs: own program ids, bound to each other, and a run", () =>
  inWorkspace(async (folder) => {
    const localnet = await spawnLocalnet();
    try {
      const json = async (name: string, ...args: string[]) => {
        const result = await runScript(name, [...args, "--json"], folder);
        assert.equal(result.code, 0, `${name}: ${result.stdout}${result.stderr}`);
        return JSON.parse(result.stdout);
      };
      const rpc = ["--rpc", localnet.rpcUrl, "-w", "owner.json"];
      await Deno.writeTextFile(join(folder, "owner.json"), await newKey(), { mode: 0o600 });
      const early = await runScript("create-run", ["-r", "mine", ...rpc], folder);
      assert.match(early.stderr, /error\[PROGRAM_NOT_DEPLOYED\]/);

      const plan = await json("deploy-solana-test", ...rpc, "--dry-run");
      assert.deepEqual([plan.dryRun, plan.programs[0].action], [true, "deploy"]);
      const deployed = await json("deploy-solana-test", ...rpc);
      const again = await json("deploy-solana-test", ...rpc);
      for (const i of [0, 1]) {
        const { programId, keyFile } = deployed.programs[i];
        assert.deepEqual([again.programs[i].programId, again.programs[i].action], [
          programId,
          "unchanged",
        ]);
        if (Deno.build.os !== "windows") {
          assert.equal(Deno.statSync(join(folder, keyFile)).mode! & 0o777, 0o600);
        }
      }
      // The run works, so the coordinator knows its own id and the id of the authorizer.
      await json("create-run", "-r", "mine", ...rpc);
      await json("join-authorization-create", ...rpc, "--permissionless");
      const config = ["--config-path", "config/solana-test/nano-config.toml"];
      await json("update-config", "-r", "mine", ...config);
      const resumed = await json("set-paused", "-r", "mine", "--resume");
      assert.equal(resumed.after, "Waiting for members");
      const dump = await json("json-info-dump", "-r", "mine");
      assert.equal(dump.coordinator_account.status.state, "Waiting for members");
    } finally {
      await localnet.stop();
    }
  }));

async function newKey(): Promise<string> {
  const { Keypair } = await import("@solana/web3.js");
  return JSON.stringify([...Keypair.generate().secretKey]);
}
