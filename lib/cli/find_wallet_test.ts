import assert from "node:assert/strict";
import { chooseWallet, findWallet } from "./find_wallet.ts";
import { WALLET_FLAGS } from "./flag_sets.ts";
import { resolveSettings, type SettingLayers } from "./settings.ts";
import { testRuntime } from "./test_runtime.ts";

function choose(
  layers: Partial<SettingLayers> & { variables?: Record<string, string> },
  files: Record<string, string> = {},
) {
  const variables = { HOME: "/home/u", ...layers.variables };
  const runtime = testRuntime([], { environment: variables, files });
  const { values, origins } = resolveSettings(WALLET_FLAGS, {
    flags: {},
    environment: runtime.environment,
    ...layers,
  });
  return chooseWallet({ settings: values, origins }, runtime);
}

const RAW = { RAW_WALLET_PRIVATE_KEY: "[1]" };
const FLAG = { walletPrivateKeyPath: "flag.json" };

Deno.test("the flag beats the raw variable, which beats the other variables", () => {
  assert.deepEqual(choose({ flags: FLAG, variables: RAW }), {
    path: "flag.json",
    origin: "--wallet-private-key-path",
  });
  assert.deepEqual(choose({ variables: { ...RAW, WALLET_PATH: "env.json" } }), {
    raw: "[1]",
    origin: "RAW_WALLET_PRIVATE_KEY",
  });
  // A variable of the environment stands above a raw key of an env file.
  assert.deepEqual(
    choose({ variables: { WALLET_PATH: "env.json" }, envFile: { path: ".env", values: RAW } }),
    { path: "env.json", origin: "WALLET_PATH" },
  );
});

Deno.test("the Solana CLI's keypair is the last resort, and only when it is there", () => {
  const usual = "/home/u/.config/solana/id.json";
  assert.equal(choose({}), null);
  assert.deepEqual(choose({}, { [usual]: "[]" }), {
    path: usual,
    origin: "the Solana CLI's default keypair",
  });
  const solanaConfig = { path: "config.yml", values: { keypairPath: "/k.json" } };
  assert.equal(choose({ solanaConfig }), null);
  assert.deepEqual(choose({ solanaConfig }, { "/k.json": "[]" }), {
    path: "/k.json",
    origin: "config.yml",
  });
});

Deno.test("a missing wallet names the ways to give one; a broken key is never repeated", async () => {
  const runtime = testRuntime([]);
  await assert.rejects(findWallet({ settings: {} as never, origins: {} }, runtime), {
    code: "WALLET_MISSING",
    message: /--wallet-private-key-path.*RAW_WALLET_PRIVATE_KEY/,
  });
  const secret = "[11,22,33,44]";
  const given = resolveSettings(WALLET_FLAGS, {
    flags: {},
    environment: (name) => name === "RAW_WALLET_PRIVATE_KEY" ? secret : undefined,
  });
  await assert.rejects(
    findWallet({ settings: given.values, origins: given.origins }, runtime),
    (error: Error & { code: string }) =>
      error.code === "WALLET_INVALID" && !error.message.includes("22"),
  );
});
