import assert from "node:assert/strict";
import { join } from "node:path";
import { PsycheError } from "../error.ts";
import { containerEnv, onThisMachine, readClientEnv, refuseLoopback } from "./client_env.ts";

async function withFile(text: string, test: (path: string, folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, ".env");
    await Deno.writeTextFile(path, text);
    await test(path, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function code(code: string, ...words: string[]) {
  return (error: unknown) =>
    error instanceof PsycheError && error.code === code &&
    words.every((word) => error.message.includes(word));
}

Deno.test("quotes around values are no part of them; comments and empty lines are skipped", () =>
  withFile(`# c\n\nRUN_ID="test"\nRPC='http://a:1/?k=#v'\nWS_RPC=ws://a:2\n`, async (path) => {
    assert.deepEqual(await readClientEnv({ required: ["RUN_ID", "RPC", "WS_RPC"], path }), {
      RUN_ID: "test",
      RPC: "http://a:1/?k=#v",
      WS_RPC: "ws://a:2",
    });
  }));

Deno.test("everything that is missing is said at once", () =>
  withFile("RPC=http://a\nWS_RPC=\nWALLET_FILE=/nowhere/id.json\n", async (path) => {
    const required = ["WALLET_FILE", "RPC", "WS_RPC", "RUN_ID"];
    await assert.rejects(
      readClientEnv({ required, files: ["WALLET_FILE"], path }),
      code("ENV_INCOMPLETE", "WS_RPC is not set", "RUN_ID is not set", "/nowhere/id.json"),
    );
    await assert.rejects(
      readClientEnv({ required, path: `${path}.absent` }),
      code("ENV_FILE_NOT_FOUND", ".env.example"),
    );
  }));

Deno.test("keys, and paths of this machine, do not go into a container", () => {
  assert.deepEqual(
    containerEnv({
      RPC: "http://a",
      RUN_ID: "test",
      EMPTY: "",
      HF_TOKEN: "t",
      WALLET_FILE: "/a",
      WALLET_PATH: "/a",
      WALLET_PRIVATE_KEY_PATH: "/a",
      RAW_WALLET_PRIVATE_KEY: "secret",
      CONFIG_PATH: "/c",
    }),
    { RPC: "http://a", RUN_ID: "test", HF_TOKEN: "t" },
  );
});

Deno.test("loopback addresses are refused with the lines to write instead", () => {
  for (const host of ["127.0.0.1", "localhost", "[::1]", "127.8.8.8"]) {
    assert.throws(
      () => refuseLoopback({ RPC: `http://${host}:8899`, WS_RPC: "ws://far:8900" }),
      code("LOOPBACK_IN_CONTAINER", "RPC=http://host.docker.internal:8899"),
    );
  }
  assert.throws(
    () => refuseLoopback({ RPC: "localnet", WS_RPC_2: "localhost" }),
    code("LOOPBACK_IN_CONTAINER", "RPC=http://host.docker.internal:8899\n"),
  );
  assert.throws(
    () => refuseLoopback({ RPC: "http://far:8899", WS_RPC_2: "localhost" }),
    code("LOOPBACK_IN_CONTAINER", "WS_RPC_2=ws://host.docker.internal:8900"),
  );
  refuseLoopback({ RPC: "http://host.docker.internal:8899", WS_RPC: "wss://api.example.org" });
});

Deno.test("this machine has another name inside of containers than on itself", () => {
  const cases = [
    ["http://host.docker.internal:8899", "http://127.0.0.1:8899"],
    ["ws://host.docker.internal", "ws://127.0.0.1"],
    ["https://host.docker.internal.example.org", "https://host.docker.internal.example.org"],
    ["https://api.devnet.solana.com/?key=a", "https://api.devnet.solana.com/?key=a"],
  ];
  for (const [inside, here] of cases) assert.equal(onThisMachine(inside), here);
});
