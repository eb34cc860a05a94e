/** Starting installed validators, with a stand-in: a script that takes the validator's flags. */
import assert from "node:assert/strict";
import { spawnExternalValidator } from "../../lib/localnet/external_validator.ts";
import { rawCall } from "./localnet_client.ts";

const SCRIPT = new URL("../../scripts/localnet.ts", import.meta.url).pathname;
const notWindows = { ignore: Deno.build.os === "windows" };

/** An executable that finds its port among the validator's flags and serves there. */
async function standIn(folder: string, portFlag: string): Promise<string> {
  const path = `${folder}/validator`;
  await Deno.writeTextFile(
    path,
    `#!/bin/sh
while [ "$1" != "${portFlag}" ]; do [ $# -gt 0 ] || exit 9; shift; done
exec "${Deno.execPath()}" run -A --quiet "${SCRIPT}" --rpc-port "$2"
`,
  );
  await Deno.chmod(path, 0o755);
  return path;
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

Deno.test(
  "starts a validator on its port, waits for its answer, stops it",
  notWindows,
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      for (
        const [kind, flag] of [["solana-test-validator", "--rpc-port"], [
          "surfpool",
          "--port",
        ]] as const
      ) {
        const executable = await standIn(folder, flag);
        const validator = await spawnExternalValidator(kind, { rpcPort: freePort(), executable });
        assert.equal((await rawCall(validator.rpcUrl, "getHealth")).result, "ok");
        await validator.stop();
        assert.equal((await validator.ended).code, 0);
        await assert.rejects(fetch(validator.rpcUrl));
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

Deno.test("a validator that is missing or ends at once is named", notWindows, async () => {
  const folder = await Deno.makeTempDir();
  try {
    await assert.rejects(
      spawnExternalValidator("surfpool", { executable: `${folder}/none` }),
      { code: "VALIDATOR_NOT_FOUND" },
    );
    const executable = await standIn(folder, "--never-given");
    await assert.rejects(
      spawnExternalValidator("surfpool", { executable, rpcPort: freePort() }),
      { code: "LOCALNET_START_FAILED" },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
