import assert from "node:assert/strict";
import { join } from "node:path";
import { PsycheError } from "../error.ts";
import { startFleet } from "./start_fleet.ts";

/**
 * A stand-in for docker. What a container does is its image: `works` gets healthy, `dies` says why and
 * ends, `hangs` never gets healthy. Processes of containers are their attached commands.
 */
const DOCKER = `#!/bin/sh
folder=\${0%/*}
verb=$1
if [ "$verb" = run ]; then
  while [ $# -gt 0 ]; do
    case $1 in --name) name=$2 ;; works | dies | hangs) image=$1 ;; esac
    shift
  done
  echo "$image" >"$folder/$name"
  case $image in
    dies) echo talk; sleep 0.1; rm "$folder/$name"; echo "error[WALLET_MISSING]: no wallet" >&2; exit 7 ;;
    *) echo "error[SLOW]: $image"; echo $$ >"$folder/$name.pid"; exec sleep 60 ;;
  esac
fi
for name; do :; done
[ "$verb" = inspect ] || exit 0
case $(cat "$folder/$name") in
  works) echo running healthy ;;
  hangs) echo running starting ;;
  *) echo "no such container" >&2; exit 1 ;;
esac
`;

async function start(
  images: string[],
  { limitMilliseconds = 60_000, signal }: { limitMilliseconds?: number; signal?: AbortSignal } = {},
) {
  const folder = await Deno.makeTempDir();
  const said: string[] = [];
  try {
    const docker = join(folder, "docker");
    await Deno.writeTextFile(docker, DOCKER, { mode: 0o755 });
    const members = images.map((image, i) => ({
      name: `c${i}`,
      image,
      command: ["train"],
      network: "bridge" as const,
      remove: true,
    }));
    const options = {
      env: {},
      useGpu: "0",
      say: (line: string) => said.push(line),
      signal,
      docker,
    };
    const result = await startFleet(members, {
      ...options,
      limitMilliseconds,
      pollMilliseconds: 20,
    }).catch((error) => error);
    // The attached commands are gone.
    for (const i of images.keys()) {
      const pid = await Deno.readTextFile(join(folder, `c${i}.pid`)).catch(() => null);
      if (pid !== null) assert.throws(() => Deno.kill(Number(pid), "SIGCONT"));
    }
    return { result, said };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("clients that become healthy were started", async () => {
  const { result, said } = await start(["works", "works"]);
  assert.deepEqual(result, ["c0", "c1"]);
  const where = "on the CPU, because USE_GPU is 0";
  assert.deepEqual(said.sort(), [
    ...["c0 started", "c1 started"],
    ...[`starting c0 ${where}`, `starting c1 ${where}`],
  ]);
});

Deno.test("one that ends at once is an error with its exit code and last words", async () => {
  const { result, said } = await start(["works", "dies"]);
  assert.ok(result instanceof PsycheError, String(result));
  assert.deepEqual([result.code, result.exitCode], ["CLIENTS_ENDED", 1]);
  assert.match(
    result.message,
    /1 of 2 .*\nc1 ended with exit code 7; .*\n {2}talk\n {2}error\[WALLET/,
  );
  assert.ok(said.includes("c0 started") && !said.includes("c1 started"), String(said));
});

Deno.test("one that runs without becoming healthy is told, and stays", async () => {
  const { result, said } = await start(["hangs"], { limitMilliseconds: 200 });
  assert.deepEqual(result, ["c0"]);
  assert.match(said[1], /c0 runs, but accepts no peers yet; its last words:\n {2}error\[SLOW\]/);
});

Deno.test("an abort ends the watch with its reason", async () => {
  const controller = new AbortController();
  const started = start(["hangs"], { signal: controller.signal });
  setTimeout(() => controller.abort("enough"), 150);
  assert.equal((await started).result, "enough");
});
