import assert from "node:assert/strict";
import { PsycheError } from "../error.ts";
import type { RunRecord } from "../operator/run_record.ts";
import { defineCommand } from "./command.ts";
import { integer, text } from "./flag.ts";
import { CLUSTER_FLAGS, RUN_ID_FLAG, WALLET_FLAGS } from "./flag_sets.ts";
import { runCommand } from "./run_command.ts";
import { testRuntime } from "./test_runtime.ts";

const command = defineCommand({
  name: "greet",
  summary: "Greets.",
  examples: [["greet --run-id test", "greets the run"]],
  flags: {
    ...RUN_ID_FLAG,
    ...CLUSTER_FLAGS,
    ...WALLET_FLAGS,
    count: integer({ summary: "how often", max: 3 }),
    word: text({ summary: "a word" }),
  },
  run({ settings, output }) {
    if (settings.word === "fail") {
      throw new PsycheError("OLD_VERSION", "No.", { exitCode: 10 });
    }
    if (settings.word === "crash") throw new TypeError("x is not a function");
    output.say("talking");
    output.result({ run: settings.runId, big: 2n ** 64n, rpc: settings.rpc }, ["hello"]);
    return Promise.resolve();
  },
});

async function run(args: string[], options: Parameters<typeof testRuntime>[1] = {}) {
  const runtime = testRuntime(args, options);
  await runCommand(command, runtime);
  return { ...runtime.written, code: runtime.exitCodes[0] };
}

const record = (cluster: string, rpcUrl: string): string =>
  JSON.stringify(
    {
      runId: "test",
      cluster,
      genesisHash: "g",
      rpcUrl,
      coordinatorAccount: "c",
      programIds: { authorizer: "a", coordinator: "b" },
    } satisfies Partial<RunRecord>,
  );

Deno.test("result on stdout, talk on stderr, exit 0", async () => {
  assert.deepEqual(await run(["-r", "test"]), { stdout: "hello\n", stderr: "talking\n", code: 0 });
});

Deno.test("--json prints exactly one object, with exact big numbers", async () => {
  const { stdout } = await run(["-r", "test", "--json"]);
  assert.deepEqual(JSON.parse(stdout), {
    run: "test",
    big: "18446744073709551616",
    rpc: "http://127.0.0.1:8899",
  });
});

Deno.test("help names flags, environment, defaults and examples", async () => {
  const { stdout, code } = await run(["--help", "--nonsense"]);
  assert.equal(code, 0);
  const unwrapped = stdout.replace(/\s+/g, " ");
  for (const part of ["--run-id <id>", "env: RUN_ID", "greet --run-id test", "--json"]) {
    assert.ok(unwrapped.includes(part), part);
  }
  assert.ok(!stdout.includes("RAW_WALLET"), "settings without a flag are not flags");
});

Deno.test("wrong usage: exit 2 and every problem in one message", async () => {
  const { stderr, code } = await run(["--count", "7", "--nonsense"]);
  assert.equal(code, 2);
  assert.ok(stderr.startsWith("error[USAGE]: greet: 3 problems:"), stderr);
  for (const part of ["--nonsense", "--run-id is missing", "--count"]) {
    assert.ok(stderr.includes(part), part);
  }
});

Deno.test("a flag without its value and a superfluous argument are usage errors", async () => {
  assert.equal((await run(["-r", "test", "--word"])).code, 2);
  const { stderr, code } = await run(["-r", "test", "again"]);
  assert.equal(code, 2);
  assert.match(stderr, /"again" is one argument too many/);
});

Deno.test("errors end with their own exit code and never show a stack", async () => {
  const failed = await run(["-r", "test", "--word", "fail"]);
  assert.deepEqual(failed, { stdout: "", stderr: "error[OLD_VERSION]: No.\n", code: 10 });
  const json = await run(["-r", "test", "--word", "fail", "--json"]);
  assert.deepEqual(JSON.parse(json.stdout), { error: { code: "OLD_VERSION", message: "No." } });
  const crashed = await run(["-r", "test", "--word", "crash"]);
  assert.equal(crashed.code, 1);
  assert.equal(crashed.stderr.trim().split("\n").length, 1);
  const traced = await run(["-r", "test", "--word", "crash"], {
    environment: { PSYCHE_DEBUG: "1" },
  });
  assert.match(traced.stderr, /run_command_test/);
});

Deno.test("--show-config names the source of each value and hides secrets", async () => {
  const { stdout } = await run(["--show-config", "--json", "-r", "test"], {
    environment: {
      RAW_WALLET_PRIVATE_KEY: "[1,2,3]",
      RPC: "https://rpc.example/?api-key=0123456789",
      HOME: "/home/u",
    },
    files: {
      "config/client/.env": 'WALLET_PATH="/keys/a.json"\nRPC_2=http://host.docker.internal:8899\n',
      "/home/u/.config/solana/cli/config.yml": "websocket_url: ws://w\n",
    },
  });
  const { settings } = JSON.parse(stdout) as {
    settings: { name: string; value: string; source: string }[];
  };
  const shown = Object.fromEntries(
    settings.map(({ name, value, source }) => [name, [value, source]]),
  );
  assert.deepEqual(shown["--run-id"], ["test", "flag"]);
  assert.deepEqual(shown["--rpc"], ["https://rpc.example?api-key=***", "environment: RPC"]);
  assert.deepEqual(shown["--rpc-2"], [
    "http://127.0.0.1:8899",
    "env file: RPC_2 in config/client/.env",
  ]);
  assert.deepEqual(shown["--wallet-private-key-path"], [
    "/keys/a.json",
    "env file: WALLET_PATH in config/client/.env",
  ]);
  assert.deepEqual(shown["RAW_WALLET_PRIVATE_KEY"], [
    "(hidden)",
    "environment: RAW_WALLET_PRIVATE_KEY",
  ]);
  assert.equal(shown["--ws-rpc"][1], "solana config: /home/u/.config/solana/cli/config.yml");
  assert.ok(!stdout.includes("0123456789"));
});

Deno.test("the run record supplies what was not given, and two clusters are told apart", async () => {
  const one = { "runs/devnet/test.json": record("devnet", "https://api.devnet.solana.com/") };
  const { stdout } = await run(["-r", "test", "--json"], { files: one });
  assert.equal(JSON.parse(stdout).rpc, "https://api.devnet.solana.com/");
  const two = { ...one, "runs/localnet/test.json": record("localnet", "http://127.0.0.1:8899/") };
  const ambiguous = await run(["-r", "test"], { files: two });
  assert.equal(ambiguous.code, 2);
  assert.match(ambiguous.stderr, /devnet, localnet/);
  assert.equal((await run(["-r", "test", "--rpc", "devnet"], { files: two })).code, 0);
});

Deno.test("a command that makes its own cluster does not look for records of old ones", async () => {
  const own = defineCommand({
    name: "make",
    summary: "Makes a cluster.",
    examples: [],
    flags: { ...RUN_ID_FLAG },
    run: ({ settings, output }) => Promise.resolve(output.result({}, [settings.runId])),
  });
  const runtime = testRuntime(["-r", "test"], {
    files: { "runs/a/test.json": record("a", "x"), "runs/b/test.json": "damaged" },
  });
  await runCommand(own, runtime);
  assert.equal(runtime.written.stdout, "test\n");
});

Deno.test("an env file that was asked for must exist", async () => {
  const { stderr, code } = await run(["-r", "test", "--env-file", "nowhere.env"]);
  assert.equal(code, 2);
  assert.match(stderr, /nowhere\.env/);
});

const waiting = defineCommand({
  name: "wait",
  summary: "Waits.",
  examples: [],
  flags: {},
  async run({ signal, output }) {
    output.result({ ready: true }, ["ready"]);
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    output.say("cleaned up");
  },
});

Deno.test("an unhandled rejection stops the command, which cleans up and fails", async () => {
  const runtime = testRuntime([]);
  const done = runCommand(waiting, runtime);
  runtime.reject(new PsycheError("BACKGROUND", "Something broke."));
  await done;
  assert.deepEqual(runtime.exitCodes, [1]);
  assert.equal(runtime.written.stderr, "cleaned up\nerror[BACKGROUND]: Something broke.\n");
});

Deno.test("a failure after the result leaves stdout one JSON object", async () => {
  const runtime = testRuntime(["--json"]);
  const done = runCommand(waiting, runtime);
  runtime.reject(new PsycheError("BACKGROUND", "Something broke."));
  await done;
  assert.deepEqual(JSON.parse(runtime.written.stdout), { ready: true });
  assert.match(runtime.written.stderr, /error\[BACKGROUND\]/);
});

Deno.test("what libraries write to the console is shown only when debugging", async () => {
  const noisy = defineCommand({
    ...waiting,
    run: () => Promise.resolve(console.error("library noise")),
  });
  for (const [environment, expected] of [[{}, ""], [{ PSYCHE_DEBUG: "1" }, "library noise\n"]]) {
    const runtime = testRuntime([], { environment: environment as Record<string, string> });
    await runCommand(noisy, runtime);
    assert.equal(runtime.written.stderr, expected);
  }
});

Deno.test("the first interrupt aborts, its echo is ignored, a later one forces", async () => {
  const forced = Promise.withResolvers<void>();
  const runtime = testRuntime([]);
  let stopped = false;
  const done = runCommand(
    defineCommand({
      name: "wait",
      summary: "Waits.",
      examples: [],
      flags: {},
      async run({ signal }) {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        await forced.promise;
        stopped = true;
        signal.throwIfAborted();
      },
    }),
    runtime,
  );
  runtime.interrupt();
  runtime.interrupt();
  assert.deepEqual(runtime.exitCodes, []);
  await new Promise((resolve) => setTimeout(resolve, 450));
  runtime.interrupt();
  assert.deepEqual(runtime.exitCodes, [130]);
  forced.resolve();
  await done;
  assert.ok(stopped);
  assert.deepEqual(runtime.exitCodes, [130, 130]);
  assert.match(runtime.written.stderr, /error\[INTERRUPTED\]/);
});

Deno.test("the exit code after an interruption: by the signal when cut off, 0 when it was waited for", async () => {
  const uncertain = new PsycheError("TRANSACTION_UNCERTAIN", "It was sent.");
  const cases = [
    ["SIGINT", (signal: AbortSignal) => signal.throwIfAborted(), 130, "INTERRUPTED"],
    ["SIGTERM", (signal: AbortSignal) => signal.throwIfAborted(), 143, "INTERRUPTED"],
    [
      "SIGTERM",
      () => {
        throw new TypeError("a request was cut off");
      },
      143,
      "INTERRUPTED",
    ],
    [
      "SIGINT",
      () => {
        throw uncertain;
      },
      130,
      "TRANSACTION_UNCERTAIN",
    ],
    ["SIGINT", () => {}, 0, null],
    ["SIGTERM", () => {}, 0, null],
  ] as const;
  for (const [name, end, code, error] of cases) {
    const runtime = testRuntime(["--json"]);
    const command = defineCommand({
      ...waiting,
      async run({ signal }) {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        end(signal);
      },
    });
    const done = runCommand(command, runtime);
    runtime.interrupt(name);
    await done;
    assert.deepEqual(runtime.exitCodes, [code]);
    const { stdout } = runtime.written;
    assert.equal(stdout === "" ? null : JSON.parse(stdout).error.code, error);
  }
});
