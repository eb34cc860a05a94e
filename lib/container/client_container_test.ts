import assert from "node:assert/strict";
import { runArguments } from "./client_container.ts";

/** What follows a flag, for each time it is there. */
function values(args: string[], flag: string): string[] {
  return args.flatMap((arg, i) => arg === flag ? [args[i + 1]] : []);
}

const client = {
  image: "psyche-client",
  command: ["supervise"],
  env: { RPC: "https://rpc.example.org/?key=secret", HF_TOKEN: "secret" },
  network: "host" as const,
};

Deno.test("no value of a setting is among the arguments, only its name", () => {
  const args = runArguments(client);
  assert.deepEqual(values(args, "--env"), ["RPC", "HF_TOKEN"]);
  assert.ok(!args.join(" ").includes("secret"));
});

Deno.test("a wallet is mounted read-only, and the container runs as its owner", () => {
  const args = runArguments({ ...client, wallet: { path: "/home/a/id.json", user: "1000:1000" } });
  assert.deepEqual(values(args, "--mount"), [
    "type=bind,source=/home/a/id.json,target=/keys/id.json,readonly",
  ]);
  assert.deepEqual(values(args, "--user"), ["1000:1000"]);
});

Deno.test("a comma in a path cannot add fields to a mount", () => {
  const args = runArguments({ ...client, files: { "/c.toml": '/a,target=/etc,"x' } });
  assert.deepEqual(values(args, "--mount"), [
    'type=bind,"source=/a,target=/etc,""x",target=/c.toml,readonly',
  ]);
});

Deno.test("every container is without rights, with a bounded log and time to end politely", () => {
  const args = runArguments({ ...client, network: "bridge", remove: true, gpu: 1 });
  for (const flag of ["--init", "--read-only", "--rm"]) assert.ok(args.includes(flag), flag);
  assert.deepEqual(values(args, "--cap-drop"), ["ALL"]);
  assert.deepEqual(values(args, "--stop-timeout"), ["30"]);
  assert.deepEqual(values(args, "--gpus"), ["device=1"]);
  assert.deepEqual(values(args, "--add-host"), ["host.docker.internal:host-gateway"]);
  assert.deepEqual(args.slice(-2), ["psyche-client", "supervise"]);
});
