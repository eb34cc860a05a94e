import assert from "node:assert/strict";
import { confirmOrThrow } from "./prompt.ts";

const never = () => assert.fail("nobody may be asked");

Deno.test("--yes asks nobody", async () => {
  await confirmOrThrow("Sure?", { yes: true, terminal: false, ask: never });
});

Deno.test("without a terminal the question is an error that names --yes", async () => {
  await assert.rejects(confirmOrThrow("Sure?", { yes: false, terminal: false, ask: never }), {
    code: "CONFIRMATION_NEEDED",
    message: /Sure\?.*--yes/,
  });
});

Deno.test("anything but a yes cancels", async () => {
  const answer = (value: boolean) => () => Promise.resolve(value);
  await confirmOrThrow("Sure?", { yes: false, terminal: true, ask: answer(true) });
  await assert.rejects(
    confirmOrThrow("Sure?", { yes: false, terminal: true, ask: answer(false) }),
    { code: "CANCELLED" },
  );
});

/** Asks in a process of its own, which gets this on its standard input. */
async function ask(input: string) {
  const code = `import { agrees } from ${JSON.stringify(import.meta.resolve("./prompt.ts"))};
    Deno.exit(await agrees("Sure?", { yes: false, terminal: true }) ? 0 : 3);`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", code],
    cwd: import.meta.dirname,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code: exitCode, stdout, stderr } = await child.output();
  const [out, talk] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { exitCode, out, talk };
}

Deno.test("the question is no part of the result; an input that ends is no yes", async () => {
  const yes = await ask("y");
  assert.deepEqual([yes.exitCode, yes.out], [0, ""]);
  assert.match(yes.talk, /Sure\?/);
  const nothing = await ask("");
  assert.deepEqual([nothing.exitCode, nothing.out], [3, ""], nothing.talk);
});
