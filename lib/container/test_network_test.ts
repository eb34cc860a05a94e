import assert from "node:assert/strict";
import { join } from "node:path";
import { PsycheError } from "../error.ts";
import { startTestNetwork } from "./test_network.ts";

/** A stand-in for docker with compose: the first client is healthy once somebody looked. */
const DOCKER = `#!/bin/sh
folder=\${0%/*}
for last; do :; done
case "$*" in
  "compose "*" up "*) echo "$NUM_REPLICAS" >"$folder/up" ;;
  "compose "*" ps --all --quiet psyche-test-client") echo 1a; echo 2b ;;
  "inspect --format {{.Name}} 1a 2b") echo /net-client-1; echo /net-client-2 ;;
  inspect*) cat "$folder/$last"; echo "running 0 healthy" >"$folder/net-client-1" ;;
  "logs --tail 10 net-client-2") echo talk; echo "error[WALLET_MISSING]: no wallet" >&2 ;;
  *) exit 9 ;;
esac
`;

async function start(second: string) {
  const folder = await Deno.makeTempDir();
  const said: string[] = [];
  try {
    const command = join(folder, "docker");
    await Deno.writeTextFile(command, DOCKER, { mode: 0o755 });
    await Deno.writeTextFile(join(folder, "net-client-1"), "running 0 starting");
    await Deno.writeTextFile(join(folder, "net-client-2"), second);
    const say = (line: string) => said.push(line);
    const error = await startTestNetwork({ clients: 2, useGpu: "0", say, command })
      .then(() => null, (error) => error);
    return { error, said, replicas: await Deno.readTextFile(join(folder, "up")) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a network is up when its clients are healthy", async () => {
  const { error, said, replicas } = await start("running 0 healthy");
  assert.deepEqual([error, replicas], [null, "2\n"]);
  assert.deepEqual(said.slice(1).sort(), ["net-client-1 started", "net-client-2 started"]);
});

Deno.test("a client of the network that ends at once is an error with its last words", async () => {
  const { error, said } = await start("exited 7 unhealthy");
  assert.ok(error instanceof PsycheError, String(error));
  assert.equal(error.code, "CLIENTS_ENDED");
  assert.match(
    error.message,
    /1 of 2 .*\nnet-client-2 ended with exit code 7; .*\n {2}talk\n {2}error\[WALLET/,
  );
  assert.deepEqual(said.slice(1), ["net-client-1 started"]);
});
