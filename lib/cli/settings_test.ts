import assert from "node:assert/strict";
import { defaulted, flagName, integer, required, text, toggle, u64 } from "./flag.ts";
import { WALLET_FLAGS } from "./flag_sets.ts";
import { lookUp, resolveSettings, type SettingLayers, stripQuotes } from "./settings.ts";
import { parseSolanaConfig } from "./solana_config.ts";

const FLAGS = {
  rpc: defaulted(
    text({ summary: "", fromSolanaConfig: (config) => config.jsonRpcUrl }),
    "http://127.0.0.1:8899",
  ),
  runId: required(text({ summary: "" })),
  count: integer({ summary: "", min: 1, max: 9 }),
  resume: toggle({ summary: "" }),
};

function layers(parts: Partial<SettingLayers> & { variables?: Record<string, string> }) {
  return { flags: {}, environment: (name: string) => parts.variables?.[name], ...parts };
}

Deno.test("flag names are kebab-case, also around digits", () => {
  assert.equal(flagName("walletPrivateKeyPath"), "wallet-private-key-path");
  assert.equal(flagName("wsRpc2"), "ws-rpc-2");
});

Deno.test("each layer gives way to the one above it", () => {
  const all = layers({
    flags: { rpc: "a" },
    variables: { RPC: "b", RUN_ID: "r" },
    envFile: { path: ".env", values: { RPC: "c" } },
    solanaConfig: { path: "config.yml", values: { jsonRpcUrl: "d" } },
  });
  const rpc = () => lookUp(FLAGS, "rpc", all);
  assert.deepEqual(rpc(), { source: "flag", detail: "--rpc", text: "a" });
  all.flags = {};
  assert.deepEqual(rpc(), { source: "environment", detail: "RPC", text: "b" });
  all.environment = () => undefined;
  assert.deepEqual(rpc(), { source: "env file", detail: "RPC in .env", text: "c" });
  all.envFile = undefined;
  assert.deepEqual(rpc(), { source: "solana config", detail: "config.yml", text: "d" });
  all.solanaConfig = undefined;
  assert.equal(rpc()?.source, "default");
});

Deno.test("double quotes are stripped everywhere, single words stay", () => {
  assert.equal(stripQuotes('"test"'), "test");
  assert.equal(stripQuotes(' "http://x" '), "http://x");
  assert.equal(stripQuotes('"'), '"');
  const settings = resolveSettings(FLAGS, layers({ variables: { RUN_ID: '"test"' } }));
  assert.equal(settings.values.runId, "test");
});

Deno.test("an empty variable counts as absent", () => {
  const settings = resolveSettings(FLAGS, layers({ variables: { RUN_ID: "", RPC: '""' } }));
  assert.deepEqual(settings.problems, ["--run-id is missing (or set RUN_ID)"]);
  assert.equal(settings.values.rpc, "http://127.0.0.1:8899");
});

Deno.test("all problems are reported at once, with their source", () => {
  const settings = resolveSettings(
    FLAGS,
    layers({ flags: { count: "10" }, variables: { RESUME: "maybe" } }),
  );
  assert.deepEqual(settings.problems, [
    "--run-id is missing (or set RUN_ID)",
    '--count: "10" is not a whole number from 1 to 9',
    '--resume (from RESUME): "maybe" is neither true nor false',
  ]);
});

Deno.test("unsigned 64-bit numbers end where they must", () => {
  const flag = u64({ summary: "" });
  assert.equal(flag.parse("18446744073709551615"), 18446744073709551615n);
  assert.throws(() => flag.parse("18446744073709551616"));
  assert.throws(() => flag.parse("-1"));
});

Deno.test("all historical names of the wallet file are accepted, in order", () => {
  for (const name of ["WALLET_PRIVATE_KEY_PATH", "WALLET_FILE", "WALLET_PATH", "KEY_FILE"]) {
    const hit = lookUp(
      WALLET_FLAGS,
      "walletPrivateKeyPath",
      layers({ variables: { [name]: "k.json", KEY_FILE: "k.json" } }),
    );
    assert.equal(hit?.detail, name);
  }
});

Deno.test("the Solana CLI's file is read; nested and empty values are passed over", () => {
  const source = "---\njson_rpc_url: https://api.devnet.solana.com\nwebsocket_url: ''\n" +
    "keypair_path: \"/home/u/.config/solana/id.json\"\naddress_labels:\n  '111': System\ncommitment: confirmed\n";
  assert.deepEqual(parseSolanaConfig(source), {
    jsonRpcUrl: "https://api.devnet.solana.com",
    websocketUrl: undefined,
    keypairPath: "/home/u/.config/solana/id.json",
  });
});
