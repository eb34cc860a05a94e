import assert from "node:assert/strict";
import fc from "fast-check";
import { seed } from "../protocol/property_seed.ts";
import { defineCommand } from "./command.ts";
import { defaulted, integer, text } from "./flag.ts";
import { OPERATOR_FLAGS } from "./flag_sets.ts";
import { runCommand } from "./run_command.ts";
import { resolveSettings } from "./settings.ts";
import { parseSolanaConfig } from "./solana_config.ts";
import { testRuntime } from "./test_runtime.ts";

const FLAGS = {
  url: defaulted(
    text({
      summary: "",
      fromRunRecord: (record) => record.rpcUrl,
      fromSolanaConfig: (config) => config.jsonRpcUrl,
    }),
    "default",
  ),
};

Deno.test("whatever layers have a value, the highest one wins and is named as source", () => {
  const layer = fc.option(fc.stringMatching(/^[a-z]{1,6}$/), { nil: undefined });
  fc.assert(
    fc.property(layer, layer, layer, layer, layer, (flag, env, file, record, solana) => {
      const { values, origins, problems } = resolveSettings(FLAGS, {
        flags: flag === undefined ? {} : { url: flag },
        environment: (name) => name === "URL" ? env : undefined,
        envFile: { path: ".env", values: { URL: file } },
        runRecord: { path: "run.json", record: { rpcUrl: record } as never },
        solanaConfig: { path: "config.yml", values: { jsonRpcUrl: solana } },
      });
      const order = [flag, env, file, record, solana, "default"];
      const sources = ["flag", "environment", "env file", "run record", "solana config", "default"];
      const highest = order.findIndex((value) => value !== undefined);
      assert.equal(values.url, order[highest]);
      assert.equal(origins.url?.source, sources[highest]);
      assert.deepEqual(problems, []);
    }),
    { seed: seed() },
  );
});

Deno.test("no command line crashes the reader: it runs, or is a usage error", async () => {
  const command = defineCommand({
    name: "nothing",
    summary: "Does nothing.",
    examples: [],
    flags: { ...OPERATOR_FLAGS, count: integer({ summary: "n" }) },
    arguments: [{ name: "A", summary: "a" }],
    optionalArguments: true,
    run: () => Promise.resolve(),
  });
  const words = ["-r", "--run-id", "--run-id=", "-w", "--", "-", "--json", "--count", "--no-json"];
  const word = fc.oneof(fc.constantFrom(...words, "--dry-run", "--help", "-rtest"), fc.string());
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 8 }), async (args) => {
      const runtime = testRuntime(args);
      await runCommand(command, runtime);
      const { stdout, stderr } = runtime.written;
      assert.ok([0, 2].includes(runtime.exitCodes[0]), `${runtime.exitCodes}: ${stderr}${stdout}`);
      assert.ok(!stdout.includes("UNEXPECTED") && !stderr.includes("UNEXPECTED"), stderr + stdout);
    }),
    { seed: seed() },
  );
});

Deno.test("any text can stand where the Solana CLI's configuration is expected", () => {
  const line = fc.oneof(
    fc.string(),
    fc.stringMatching(/^(json_rpc_url|keypair_path): ?["' a-z]*$/),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      for (const value of Object.values(parseSolanaConfig(lines.join("\n")))) {
        assert.notEqual(value, "");
      }
    }),
    { seed: seed() },
  );
});
