import assert from "node:assert/strict";
import fc from "fast-check";
import { PsycheError } from "../error.ts";
import { toHex } from "./bytes.ts";
import { EXAMPLE_CONFIG } from "./config_fixture.ts";
import { encodeCoordinatorAccount } from "./coordinator_account.ts";
import { emptyCoordinatorState } from "./empty_state.ts";
import { formatRunConfig, parseRunConfig } from "./run_config.ts";
import { runs } from "./run_arbitrary.ts";
import { sha256 } from "./sha256.ts";
import { seed } from "./property_seed.ts";

/** Changes lines of the example. */
function example(...changes: [string | RegExp, string][]): string {
  return changes.reduce((text, [from, to]) => {
    const changed = text.replace(from, to);
    assert.notEqual(changed, text, `${from} is not in the example`);
    return changed;
  }, EXAMPLE_CONFIG);
}

function problemsOf(text: string): string {
  try {
    parseRunConfig(text, "run.toml");
  } catch (error) {
    assert.ok(error instanceof PsycheError);
    assert.equal(error.code, "RUN_CONFIG_INVALID");
    assert.match(error.message, /run\.toml/);
    return error.message;
  }
  return assert.fail("the configuration was accepted");
}

Deno.test("the example has the expected memory image", () => {
  const { config, model, warnings } = parseRunConfig(EXAMPLE_CONFIG, "example.toml");
  assert.deepEqual(warnings, []);
  const account = encodeCoordinatorAccount({ ...emptyCoordinatorState("", ""), config, model });
  assert.equal(
    toHex(sha256(account.subarray(416, 968))),
    "15914c1fd4381e5a5e9587009668eb4b6a1ca829a33531cad453e5e356b973f5",
  );
  assert.equal(
    toHex(account.subarray(968, 1032)),
    "78000000000000002d000000000000003c000000000000000400000000000000" +
      "40420f000000000008070000000000008813000003000200010010004000000a",
  );
});

Deno.test("all problems are told at once, with key, value and rule", () => {
  const message = problemsOf(example(
    ["cooldown_time = 45\n", ""],
    ["witness_nodes = 1", "witness_nodes = 65536"],
    ["total_steps = 5000\nwaiting", 'total_steps = "many"\nwaiting'],
    ['architecture = "HfAuto"', 'architecture = "Bert"'],
    ['revision = "main"', `revision = "${"r".repeat(65)}"`],
    ["compression_decay = 0.999", "compression_decay = nan"],
    ["30, 31]", "30]"],
    ["shard-{}.bin", "shard.bin"],
  ));
  for (
    const line of [
      /^ {2}line \d+, config\.cooldown_time: is missing$/m,
      /^ {2}line \d+, config\.witness_nodes: 65536 must be an integer from 0 to 65535$/m,
      /^ {2}line \d+, config\.total_steps: "many" must be an integer from 0 to 4294967295$/m,
      /^ {2}line \d+, model\.LLM\.architecture: "Bert" must be one of "HfLlama", /m,
      /^ {2}line \d+, model\.LLM\.checkpoint\.Hub\.revision: "r+" must be at most 64 bytes of UTF-8 long \(it has 65\)$/m,
      /^ {2}line \d+, model\.LLM\.optimizer\.Distro\.compression_decay: .* must be a finite number$/m,
      /^ {2}line \d+, model\.LLM\.data_location\.Http\.shuffle\.Seeded: .* must be a list of 32 integers/m,
      /^ {2}line \d+, model\.LLM\.data_location\.Http\.location\.NumberedFiles\.url_template: .* exactly once$/m,
    ]
  ) assert.match(message, line);
  assert.equal(message.split("\n").length, 9);
});

Deno.test("every rule of the chain is applied", () => {
  const rules: [string, string, RegExp][] = [
    ["epoch_time = 1800", "epoch_time = 0", /config\.epoch_time: 0/],
    ["warmup_time = 120", "warmup_time = 1800", /config\.warmup_time: 1800/],
    ["train_time = 60", "train_time = 0", /config\.max_round_train_time: 0/],
    ["train_time = 60", "train_time = 1800", /config\.max_round_train_time: 1800/],
    ["witness_time = 4", "witness_time = 0", /config\.round_witness_time: 0/],
    ["\nmin_clients = 2", "\nmin_clients = 0", /config\.min_clients: 0/],
    ["init_min_clients = 3", "init_min_clients = 1", /config\.init_min_clients: 1/],
    ["init_min_clients = 3", "init_min_clients = 257", /config\.init_min_clients: 257/],
    ["size_start = 16", "size_start = 0", /config\.global_batch_size_start: 0/],
    ["size_end = 64", "size_end = 15", /config\.global_batch_size_end: 15/],
    ["total_steps = 5000\nw", "total_steps = 0\nw", /config\.total_steps: 0/],
    ["witness_nodes = 1", "witness_nodes = 3", /config\.witness_nodes: 3/],
    ["cooldown_time = 45", "cooldown_time = 0", /config\.cooldown_time: 0/],
    ["extra_time = 10", "extra_time = 0", /config\.waiting_for_members_extra_time: 0/],
    ["max_seq_len = 1024", "max_seq_len = 0", /model\.LLM\.max_seq_len: 0/],
    ["num_files = 12", "num_files = 0", /NumberedFiles\.num_files: must not be empty/],
    ["example-org/tiny-model", "", /checkpoint\.Hub\.repo_id: must not be empty/],
    ["warmup_steps = 5", "warmup_steps = 29", /cold_start_warmup_steps: 29 must be at most 28/],
    ["warmup_steps = 100", "warmup_steps = 5000", /lr_schedule\.Cosine\.total_steps/],
  ];
  for (const [from, to, expected] of rules) {
    assert.match(problemsOf(example([from, to])), expected);
  }
});

Deno.test("other spellings and what is ignored", () => {
  const { model, warnings } = parseRunConfig(
    `run_id = "x"\nstray = 1\n` + example(
      ["[config]", "[config]\nwarmuptime = 3"],
      [/\[model\.LLM\.checkpoint\.Hub\][^[]*/, ""],
      [
        "cold_start_warmup_steps = 5",
        `cold_start_warmup_steps = 5\ncheckpoint = { Gcs = { bucket = "b", prefix = "p" } }\n` +
        `data_location = { Server = "127.0.0.1:20001" }`,
      ],
      [/\[model\.LLM\.data_location\.Http\][^]*?\[model\.LLM\.lr/, "[model.LLM.lr"],
      ["base_lr = 3.0e-4", "base_lr = 1"],
    ),
    "run.toml",
  );
  assert.deepEqual(model.checkpoint, { kind: "Gcs", repo: { bucket: "b", prefix: "p" } });
  assert.deepEqual(model.dataLocation, { kind: "Server", address: "127.0.0.1:20001" });
  assert.equal(model.lrSchedule.baseLr, 1);
  assert.deepEqual(warnings, [
    "config.warmuptime is not a known key and is ignored",
    "stray is not a known key and is ignored",
  ]);
});

Deno.test("an architecture that clients refuse is warned of", () => {
  for (const architecture of ["HfDeepseek", "Torchtitan"]) {
    const text = example([/^architecture = .*/m, `architecture = "${architecture}"`]);
    const { warnings } = parseRunConfig(text, "run.toml");
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], new RegExp(`${architecture} is refused by clients.*use HfLlama`));
  }
});

Deno.test("AdamW for more than one client is warned of", () => {
  const adamw = [
    /\[model\.LLM\.optimizer\.Distro\][^]*$/,
    "[model.LLM.optimizer.AdamW]\nbetas = [0.9, 0.95]\nweight_decay = 0.1\neps = 1e-8\n",
  ] as [RegExp, string];
  const { warnings } = parseRunConfig(example(adamw), "run.toml");
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /optimizer AdamW .* waits for \d+; set config\.min_clients/);
  const alone = example(
    adamw,
    [/^min_clients = \d+/m, "min_clients = 1"],
    [/^init_min_clients = \d+/m, "init_min_clients = 1"],
    [/^witness_nodes = \d+/m, "witness_nodes = 0"],
  );
  assert.deepEqual(parseRunConfig(alone, "run.toml").warnings, []);
});

Deno.test("broken files are refused with their position", () => {
  assert.match(problemsOf("[config\nwarmup_time = 1"), /1:8|line 1|1:/);
  assert.match(problemsOf("config = 3\nmodel = []"), /config: 3 must be a table/);
  assert.match(problemsOf("").replaceAll("\n", " "), /config: is missing.*model: is missing/);
  assert.match(problemsOf(example(["[model.LLM]", "[model.GAN]"])), /model\.LLM/);
  assert.match(problemsOf(" ".repeat(1 << 21)), /longer than/);
});

Deno.test("formatting and parsing give the same run back", () => {
  fc.assert(
    fc.property(runs, ({ config, model }) => {
      const parsed = parseRunConfig(formatRunConfig(config, model), "formatted.toml");
      assert.deepEqual(parsed.config, config);
      assert.deepEqual(parsed.model, model);
    }),
    { seed: seed(), numRuns: 200 },
  );
});

Deno.test("the presets are valid", async () => {
  for (const name of ["config", "light-config", "nano-config"]) {
    const file = new URL(`../../config/solana-test/${name}.toml`, import.meta.url);
    const { warnings } = parseRunConfig(await Deno.readTextFile(file), name);
    assert.deepEqual(warnings, []);
  }
});

Deno.test("data that no client can reach is warned of", () => {
  const warningsFor = (location: string) =>
    parseRunConfig(
      example(
        ["cold_start_warmup_steps = 5", `cold_start_warmup_steps = 5\ndata_location = ${location}`],
        [/\[model\.LLM\.data_location\.Http\][^]*?\[model\.LLM\.lr/, "[model.LLM.lr"],
      ),
      "run.toml",
    ).warnings;
  assert.deepEqual(warningsFor(`{ Server = "[::1]:20001" }`), []);
  assert.match(warningsFor(`{ Server = "data.example.com" }`)[0], /is not host:port/);
  assert.match(warningsFor(`{ Local = "data" }`)[0], /serve it with data-server/);
});
