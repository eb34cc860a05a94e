/** psyche_client_train while its image is pulled, with a stand-in for docker. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createWallet } from "../../lib/chain/wallet.ts";
import { readText } from "../operator/script.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** The image is not here; a pull says its process id and takes its time, and nothing else does. */
const DOCKER = `#!/bin/sh
case $1 in
  version) echo 28 ;;
  image) echo "No such image" >&2; exit 1 ;;
  pull | run) echo "pulling in $$." >&2; exec /bin/sleep 60 ;;
  *) exit 1 ;;
esac
`;

Deno.test({
  name: "a signal during the pull ends it and is the exit code",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(join(folder, "docker"), DOCKER, { mode: 0o755 });
      const wallet = join(folder, "id.json");
      await createWallet(wallet);
      const env = join(folder, "client.env");
      const settings = ["RPC=http://node", "WS_RPC=ws://node", "RUN_ID=test", "USE_GPU=0"];
      await Deno.writeTextFile(env, [...settings, `WALLET_FILE=${wallet}`].join("\n"));
      for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
        const child = new Deno.Command(Deno.execPath(), {
          args: [
            ...["run", "--quiet", "--no-prompt", "--allow-env", "--allow-read"],
            ...["--allow-run=docker,nvidia-smi", join(ROOT, "scripts/psyche_client_train.ts")],
            ...["--env-file", env, "--image", "far-away"],
          ],
          env: { PATH: folder },
          stdin: "null",
          stdout: "null",
          stderr: "piped",
        }).spawn();
        const talk = readText(child.stderr);
        const pull = /pulling in (\d+)/.exec(await talk.until(".\n")) ?? assert.fail();
        child.kill(signal);
        assert.equal((await child.status).code, code);
        await talk.until("error[INTERRUPTED]");
        assert.throws(() => Deno.kill(Number(pull[1]), "SIGCONT"), "the pull still runs");
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
