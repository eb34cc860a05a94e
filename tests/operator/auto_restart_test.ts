/** `auto-restart`, as its users run it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readText } from "./script.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/auto-restart.ts", import.meta.url));

function start(...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-run", SCRIPT, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function ended(child: Deno.ChildProcess) {
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("a program that fails is run again until it succeeds", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = JSON.stringify(join(folder, "ran"));
    const code = `try { Deno.mkdirSync(${file}); } catch { Deno.exit(0); } Deno.exit(7);`;
    const { code: exit, stderr } = await ended(start(Deno.execPath(), "eval", code));
    assert.equal(exit, 0);
    assert.match(stderr, /exit code 7; again in 1 s/);
    assert.equal(stderr.trim().split("\n").length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("help, nothing to run, and a program that is not there", async () => {
  const help = await ended(start("--help"));
  assert.deepEqual([help.code, help.stderr], [0, ""]);
  assert.match(help.stdout, /^Usage: auto-restart/);
  const nothing = await ended(start());
  assert.equal(nothing.code, 1);
  assert.match(nothing.stderr, /^error\[USAGE\]/);
  const missing = await ended(start("/no/such/program"));
  assert.equal(missing.code, 127);
  assert.match(missing.stderr, /^error\[PROGRAM_NOT_STARTED\].*"\/no\/such\/program"/);
});

Deno.test({
  name: "a signal ends the program and is the exit code",
  ignore: Deno.build.os === "windows",
  async fn() {
    const forever = "setInterval(() => {}, 1000); console.log(Deno.pid);";
    for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      const child = start(Deno.execPath(), "eval", forever);
      const errors = child.stderr.cancel();
      const pid = Number(await readText(child.stdout).until("\n"));
      child.kill(signal);
      assert.equal((await child.status).code, code);
      assert.throws(() => Deno.kill(pid, "SIGCONT"), "the program still runs");
      await errors;
    }
  },
});
