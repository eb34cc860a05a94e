import assert from "node:assert/strict";
import { portOwner } from "./port_owner.ts";

const onLinux = { ignore: Deno.build.os !== "linux" };

Deno.test(
  "names this process as the holder of its port, with all permissions",
  onLinux,
  async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    assert.match(await portOwner(port) ?? "", new RegExp(`^process ${Deno.pid} \\(.+\\)$`));
    listener.close();
    assert.equal(await portOwner(port), undefined);
  },
);

Deno.test("without them a tool is asked, or nothing is said", onLinux, async () => {
  const module = new URL("./port_owner.ts", import.meta.url).href;
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const folder = await Deno.makeTempDir();
  try {
    const script = `${folder}/ask.ts`;
    await Deno.writeTextFile(
      script,
      `import { portOwner } from ${JSON.stringify(module)}; console.log(await portOwner(${port}));`,
    );
    const run = async (...permissions: string[]) => {
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-config", "--no-prompt", "--quiet", ...permissions, script],
      }).output();
      return new TextDecoder().decode(stdout).trim();
    };
    assert.equal(await run("--allow-read"), "undefined");
    for (const tool of ["lsof", "ss"]) {
      const installed = await new Deno.Command(tool, {
        args: ["-v"],
        stdout: "null",
        stderr: "null",
      })
        .output().then(() => true, () => false);
      if (!installed) continue;
      const text = await run("--allow-read", `--allow-run=${tool}`);
      assert.match(text, new RegExp(`^process ${Deno.pid} \\(.+\\)$`), tool);
    }
  } finally {
    listener.close();
    await Deno.remove(folder, { recursive: true });
  }
});
