/** The commands that run clients in containers, as their users run them, against a validator here. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EVERYBODY } from "../../lib/chain/authorizer.ts";
import { createWallet } from "../../lib/chain/wallet.ts";
import { dockerOutput } from "../../lib/container/docker.ts";
import { airdropUpTo } from "../../lib/operator/airdrop.ts";
import { applyConfig } from "../../lib/operator/apply_config.ts";
import { closeOperator, openOperator } from "../../lib/operator/context.ts";
import { createJoinAuthorization } from "../../lib/operator/create_authorization.ts";
import { LAMPORTS_PER_SOL } from "../../lib/operator/lamports.ts";
import { readRun } from "../../lib/operator/read_run.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { makeWorkspace, readText } from "../operator/script.ts";
import { withoutEngine } from "./engine.ts";
import { gatewayAddress } from "./gateway.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

function start(script: string, args: string[], cwd: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--allow-all", `--config=${join(ROOT, "deno.json")}`],
      join(ROOT, "scripts", `${script}.ts`),
      ...args,
    ],
    cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function run(script: string, args: string[], cwd: string) {
  const { code, stdout, stderr } = await start(script, args, cwd).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test({
  name: "a run is created and trained by the commands for containers, with a mounted wallet",
  ignore: withoutEngine,
  async fn(t) {
    // The test image is psyche-client with the nano model, which no hub has.
    for (const image of ["psyche-client", "psyche-test-client"]) {
      const build = ["build", "--quiet", "--file", "docker/Dockerfile", "--target", image];
      await dockerOutput([...build, "--tag", image, ROOT]);
    }
    const folder = await makeWorkspace();
    const name = `psyche-client-${crypto.randomUUID().slice(0, 8)}`;
    const gateway = await gatewayAddress();
    const validator = start(
      "test-validator",
      ["--json", "--bind-address", gateway, "--rpc-port", "0", "--clock-rate", "10"],
      folder,
    );
    const said = readText(validator.stdout);
    readText(validator.stderr);
    try {
      const { rpcUrl, wsUrl } = JSON.parse(await said.until("\n}\n"));
      assert.ok(rpcUrl, await said.until("}"));

      const wallet = join(folder, "id.json");
      const payer = await createWallet(wallet);
      const context = await openOperator({
        rpc: rpcUrl,
        wsRpc: wsUrl,
        payer,
        runsDirectory: join(folder, "runs"),
        keysDirectory: join(folder, "keys"),
      });
      await airdropUpTo(context.connection, payer.publicKey, 100 * LAMPORTS_PER_SOL);
      const config = join(folder, "run.toml");
      const nano = await Deno.readTextFile(join(ROOT, "config/solana-test/nano-config.toml"));
      await Deno.writeTextFile(config, nano.replace("http://127.0.0.1:8899", rpcUrl));
      const env = join(folder, "client.env");
      await Deno.writeTextFile(
        env,
        `RPC="${rpcUrl}"\nWS_RPC='${wsUrl}'\nRUN_ID="contained"\nWALLET_FILE=${wallet}\n` +
          `CONFIG_PATH=${config}\nCLIENT_VERSION=one\nLOGS=json\nTHREADS=1\nUSE_GPU=0\n`,
      );
      const flags = ["--env-file", env, "--image", "psyche-test-client"];
      try {
        await t.step("psyche_client_create_run: the run waits for members", async () => {
          const result = await run("psyche_client_create_run", flags, folder);
          assert.equal(result.code, 0, result.stderr);
          const { state, mainAuthority } = await readRun(context, "contained");
          assert.equal(state.runState, RunState.WaitingForMembers);
          assert.ok(mainAuthority.equals(payer.publicKey));
        });

        await t.step(
          "psyche_client_train trains with the mounted wallet until it is stopped",
          async () => {
            await createJoinAuthorization(context, { grantor: payer, grantee: EVERYBODY });
            const client = start("psyche_client_train", [...flags, "--name", name], folder);
            const talk = readText(client.stderr);
            const output = readText(client.stdout);
            await output.until('"type":"applied"');
            const wallet = payer.publicKey.toBase58();
            assert.match(await output.until("\n"), new RegExp(`"client":"${wallet}"`));
            const inspected = await dockerOutput(["inspect", name]);
            assert.ok(!inspected.includes(payer.secretKey.slice(0, 32).join(",")));
            assert.doesNotMatch(inspected, /PRIVATE_KEY=(?!\/keys\/id\.json)/);
            client.kill("SIGTERM");
            await output.until('"reason":"interrupted"');
            const { code } = await client.status;
            assert.equal(code, 0, await talk.until(""));
            await assert.rejects(dockerOutput(["inspect", name]), "the container is still there");
          },
        );

        await t.step(
          "another client version ends with exit code 10, without another try",
          async () => {
            await applyConfig(context, "contained", { clientVersion: "two" });
            const { code, stderr } = await run(
              "psyche_client_train",
              [...flags, "--name", name],
              folder,
            );
            assert.equal(code, 10, stderr);
            assert.match(stderr, /CLIENT_VERSION_MISMATCH/);
            assert.doesNotMatch(stderr, /starting it again/);
          },
        );
      } finally {
        await closeOperator(context);
      }
    } finally {
      validator.kill("SIGTERM");
      await validator.status;
      await dockerOutput(["rm", "--force", name]).catch(() => {});
      await dockerOutput(["volume", "rm", "--force", `${name}-data`]);
      await Deno.remove(folder, { recursive: true });
    }
  },
});
