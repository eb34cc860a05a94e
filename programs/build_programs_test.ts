/** The command build-programs, as a process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../scripts/build-programs.ts", import.meta.url));

Deno.test({
  name: "a signal during the build ends its tool and is the exit code, in one sentence",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      // The first tool that the build calls by its name alone.
      const started = join(folder, "started");
      const tool = `#!/bin/sh\necho $$ >${started}.new\n/bin/mv ${started}.new ${started}\n` +
        "exec /bin/sleep 60\n";
      await Deno.writeTextFile(join(folder, "apt-get"), tool, { mode: 0o755 });
      for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
        const child = new Deno.Command(Deno.execPath(), {
          args: ["run", "--quiet", "--no-prompt", "--allow-read", "--allow-run", "--allow-env"]
            .concat(SCRIPT, "--install"),
          env: { PATH: folder },
          stdin: "null",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const ended = child.output();
        let pid = await textOf(started);
        for (let i = 0; pid === "" && i < 3000; i++) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          pid = await textOf(started);
        }
        child.kill(signal);
        const { code: exit, stderr } = await ended;
        const said = new TextDecoder().decode(stderr);
        assert.equal(exit, code, said);
        assert.match(
          said,
          /^\nSIG\w+ received, .*\nerror\[INTERRUPTED\]: build-programs was interrupted.*\n$/,
        );
        assert.throws(() => Deno.kill(Number(pid), "SIGCONT"), "the tool still runs");
        await Deno.remove(started);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

function textOf(path: string): Promise<string> {
  return Deno.readTextFile(path).catch(() => "");
}
