/** The commands that build images and start test networks and fleets, as their users run them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { commandLine } from "../../lib/cli/command_line.ts";
import { dockerOutput } from "../../lib/container/docker.ts";
import { makeWorkspace, readText } from "../operator/script.ts";
import { withoutEngine } from "./engine.ts";
import { gatewayAddress } from "./gateway.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** For a machine that others use too. */
const LIMIT_MILLIS = 180_000;

function start(name: string, args: string[], env: Record<string, string>, cwd = ROOT) {
  return new Deno.Command(Deno.execPath(), {
    args: commandLine(name, args),
    env: { USE_GPU: "0", ...env },
    cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Its result, or its error. */
async function run(name: string, args: string[], env: Record<string, string> = {}, cwd = ROOT) {
  const { code, stdout, stderr } = await start(name, [...args, "--json"], env, cwd).output();
  const [out, talk] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.doesNotThrow(() => JSON.parse(out), `${name}: ${out}${talk}`);
  return { code, result: JSON.parse(out), talk };
}

async function done(name: string, args: string[], env: Record<string, string> = {}, cwd = ROOT) {
  const { code, result, talk } = await run(name, args, env, cwd);
  assert.equal(code, 0, `${name}: ${JSON.stringify(result)}${talk}`);
  return result;
}

/** Waits until the container has applied a training step. */
async function trains(container: string): Promise<void> {
  const end = Date.now() + LIMIT_MILLIS;
  for (;;) {
    const log = await dockerOutput(["logs", container]);
    if (log.includes('"type":"applied"')) return;
    assert.ok(Date.now() < end, `${container} does not train: ${log.slice(-3000)}`);
    await delay(500);
  }
}

Deno.test({
  name: "a test network is set up, started anew and ended",
  ignore: withoutEngine,
  async fn() {
    const project = `psyche-infra-${crypto.randomUUID().slice(0, 8)}`;
    const env = {
      COMPOSE_PROJECT_NAME: project,
      VALIDATOR_PORT: "",
      VALIDATOR_WS_PORT: "",
    };
    const ofProject = ["--filter", `label=com.docker.compose.project=${project}`];
    const clients = async () =>
      (await dockerOutput(["ps", ...ofProject, "--format", "{{.Names}}"])).split("\n")
        .filter((name) => name.includes("psyche-test-client")).sort();
    try {
      assert.deepEqual(await done("setup_test_infra", ["2"], env), { clients: 2 });
      assert.deepEqual(await clients(), [1, 2].map((n) => `${project}-psyche-test-client-${n}`));
      await trains(`${project}-psyche-test-client-1`);
      assert.deepEqual(await done("run_test_infra", ["1"], env), { clients: 1 });
      // Which of the two is kept is up to compose.
      const [left, ...others] = await clients();
      assert.deepEqual(others, []);
      await trains(left);
      const wrong = await run("run_test_infra", ["none"], env);
      assert.deepEqual([wrong.code, wrong.result.error.code], [2, "USAGE"]);
    } finally {
      assert.deepEqual(await done("stop_test_infra", [], env), {});
      assert.equal(await dockerOutput(["ps", "--all", "--quiet", ...ofProject]), "");
      assert.equal(await dockerOutput(["volume", "ls", "--quiet", ...ofProject]), "");
      assert.equal(await dockerOutput(["network", "ls", "--quiet", ...ofProject]), "");
    }
  },
});

Deno.test({
  name: "images are built after a yes, and fleets of clients train on a localnet of this machine",
  ignore: withoutEngine,
  async fn() {
    const names = [1, 2].flatMap((n) => [`psyche-test-client-${n}`, `psyche-client-${n}`]);
    const present = await dockerOutput(["ps", "--all", "--format", "{{.Names}}"]);
    const taken = names.filter((name) => present.split("\n").includes(name));
    assert.deepEqual(
      taken,
      [],
      "somebody's clients are there, and the commands would replace them",
    );
    const folder = await makeWorkspace();
    const gateway = await gatewayAddress();
    const flags = ["--bind-address", gateway, "--rpc-port", "0", "--json"];
    const localnet = start("setup-localnet", flags, {}, folder);
    readText(localnet.stderr);
    try {
      const { rpcUrl, wsUrl } = JSON.parse(await readText(localnet.stdout).until("\n}\n"));
      const envFile = join(folder, "client.env");
      await Deno.writeTextFile(
        envFile,
        `RPC="${rpcUrl}"\nWS_RPC="${wsUrl}"\nRUN_ID=test\nLOGS=json\nTHREADS=1\n`,
      );
      const rpc = ["--rpc", rpcUrl];
      const file = ["--env-file", envFile];

      const unasked = await run("build_docker_psyche_client", rpc);
      assert.deepEqual([unasked.code, unasked.result.error.code], [1, "ADDRESSES_NOT_CONFIRMED"]);
      for (const image of ["psyche-client", "psyche-test-client"]) {
        const command = `build_docker_${image.replace("psyche-test", "test").replaceAll("-", "_")}`;
        assert.deepEqual(await done(command, [...rpc, "--yes"]), { image });
        await dockerOutput(["image", "inspect", image]);
      }
      const own = names.filter((name) => name.includes("test"));
      const { containers } = await done("setup_clients", ["2", ...file, ...rpc, "--yes"]);
      assert.deepEqual(containers, own);
      await Promise.all(own.map(trains));
      await dockerOutput(["rm", "--force", ...own]);
      assert.deepEqual(await done("train-multiple-gpu-localnet", ["1", ...file]), {
        containers: own.slice(0, 1),
      });
      await trains(own[0]);

      // Wallets that were funded beforehand, in the folder of the user.
      const owner = join(folder, ".psyche/keys/localnet-owner.json");
      await done("fund_accounts", [owner, "2", "--yes", ...rpc], {}, folder);
      const fleet = ["--image", "psyche-test-client", ...file];
      const few = await run("train-multiple-gpu-devnet", ["3", ...fleet], {}, folder);
      assert.deepEqual([few.code, few.result.error.code], [1, "FLEET_WALLETS_MISSING"]);
      const started = await done("train-multiple-gpu-devnet", ["2", ...fleet], {}, folder);
      assert.deepEqual(started.containers, ["psyche-client-1", "psyche-client-2"]);
      await Promise.all(started.containers.map(trains));
    } finally {
      await dockerOutput(["rm", "--force", ...names]).catch(() => {});
      await dockerOutput(["volume", "rm", "--force", ...names.map((name) => `${name}-data`)]);
      localnet.kill("SIGTERM");
      await localnet.status;
      await Deno.remove(folder, { recursive: true });
    }
  },
});
