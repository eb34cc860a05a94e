/** The table of commands, the scripts, the tasks and the documentation say the same. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { COMMAND_TABLE, scriptOf } from "../../lib/cli/command_table.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

function deno(...args: string[]) {
  return new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    stdout: "piped",
    stderr: "piped",
  }).output();
}

Deno.test("docs/commands.md is what generate-docs writes", async () => {
  const script = "scripts/generate-docs.ts";
  const { code, stderr } = await deno("run", "--allow-read", "--allow-env", script, "--check");
  assert.equal(code, 0, new TextDecoder().decode(stderr));
});

Deno.test("every command has a script, and its task the permissions of the table", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  for (const entry of COMMAND_TABLE) {
    const script = `scripts/${scriptOf(entry)}.ts`;
    assert.ok((await Deno.stat(join(ROOT, script))).isFile, script);
    const task = tasks[entry.name];
    if (task === undefined || entry.args !== undefined) continue;
    assert.equal(task.command, ["deno run", ...entry.permissions, script].join(" "));
  }
  const names = COMMAND_TABLE.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

Deno.test("psyche runs a command by any of its names, and knows what was meant", async () => {
  const run = async (...args: string[]) => {
    const permissions = ["--allow-run", "--allow-read"];
    const { code, stdout, stderr } = await deno(
      "run",
      ...permissions,
      "scripts/psyche.ts",
      ...args,
    );
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  };
  const list = await run("--help");
  assert.equal(list.code, 0);
  for (const name of ["create-run", "train", "demo", "treasurer-top-up-rewards"]) {
    assert.ok(list.stdout.includes(`  ${name} `), name);
  }
  const wrong = await run("create-rnu");
  assert.deepEqual([wrong.code, wrong.stderr.includes("Did you mean create-run")], [2, true]);
  const valid = ["validate-config", "config/solana-test/nano-config.toml", "--json"];
  const { code, stdout } = await run(...valid);
  assert.deepEqual([code, JSON.parse(stdout).valid], [0, true]);
  const short = await run("setup-solana-localnet-light-test-run", "--show-config", "--json");
  const { settings } = JSON.parse(short.stdout);
  const preset = settings.find((it: { name: string }) => it.name === "--preset");
  assert.deepEqual([preset.value, preset.source], ["light", "flag"]);
  assert.equal((await run("fund_accounts.sh")).code, 2, "the exit code is the command's");
});
