/** A whole run that is evaluated while it trains: localnet and clients are processes of their own. */
import { Keypair, PublicKey } from "@solana/web3.js";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { closeConnection, openConnection } from "../../lib/chain/connection.ts";
import { fetchCoordinatorInstance } from "../../lib/chain/coordinator_reader.ts";
import { defaultProgramIds } from "../../lib/chain/programs.ts";
import { fetchWitnessReports } from "../../lib/chain/witness_reports.ts";
import { commandLine } from "../../lib/cli/command_line.ts";
import { PROMPTS } from "../../lib/client/prompt_task.ts";
import { type ClientProcess, startClientProcess } from "../../lib/demo/client_process.ts";
import { demoConfig } from "../../lib/demo/demo_config.ts";
import type { TimedEvent } from "../../lib/events/event.ts";
import { RunMonitor } from "../../lib/events/run_monitor.ts";
import { loadRunConfig } from "../../lib/operator/load_run_config.ts";
import { prepareDemo } from "../../lib/operator/prepare_demo.ts";
import { setupLocalnet } from "../../lib/operator/setup_localnet.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Far more than a run needs, on a busy machine too. */
const LIMIT = 180_000;
const STEPS = 16;
const DOCUMENTS = 8;

Deno.test({
  name: "two clients evaluate beside training: the values are witnessed, the weights agree",
  // web3.js and child processes keep handles a little longer than the test.
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const directory = await Deno.makeTempDir();
    await writeQuestions(`${directory}/questions`);
    // What is not in the directory must not be looked for elsewhere.
    const offline = { HF_HUB_OFFLINE: "1", HF_HOME: `${directory}/hub` };
    for (const [name, value] of Object.entries(offline)) Deno.env.set(name, value);
    const monitor = new RunMonitor();
    const events: TimedEvent[] = [];
    const clients: ClientProcess[] = [];
    const { dataDirectory, modelDirectory } = await prepareDemo(`${ROOT}.psyche`);
    const run = demoConfig(await loadRunConfig(`${ROOT}config/solana-test/nano-config.toml`), {
      clients: 2,
      steps: STEPS,
      seed: 1,
      modelDirectory,
    });
    const setup = await setupLocalnet({
      rpcPort: 0,
      wallet: Keypair.generate(),
      runId: "evaluated",
      config: run,
      clockRate: 20,
      dataDirectory,
      programsDirectory: `${ROOT}programs`,
      runsDirectory: `${directory}/runs`,
      keysDirectory: `${directory}/keys`,
    });
    const late = Promise.withResolvers<never>();
    const log = () => events.slice(-100).map((event) => JSON.stringify(event)).join("\n");
    const timer = setTimeout(() => late.reject(new Error(`unfinished:\n${log()}`)), LIMIT);
    const start = (flags: string[]) => {
      const client = startClientProcess(
        commandLine("train", [
          ...["--run-id", "evaluated", "--rpc", setup.rpcUrl, "--ws-rpc", setup.wsUrl],
          ...["--device", "cpu", "--threads", "1", "--bind-p2p-host", "127.0.0.1"],
          ...["--address-book", `${directory}/peers`, "--key-directory", `${directory}/keys`],
          ...flags,
        ]),
        (event) => {
          events.push(event);
          monitor.add(event);
        },
      );
      clients.push(client);
      return client.ended;
    };
    const connection = openConnection({ rpcUrl: setup.rpcUrl, wsUrl: setup.wsUrl });
    try {
      const evaluation = ["--eval-tasks", "openbookqa", "--eval-data", `${directory}/questions`];
      const typo = await start(["--eval-tasks", "openbokqa"]);
      assert.equal(typo.code, 2);
      assert.match(typo.errors.join("\n"), /eval-tasks.*"openbokqa" is unknown.*openbookqa/s);
      const missing = await start([...evaluation, "--eval-tasks", "piqa,openbookqa"]);
      assert.equal(missing.code, 1);
      assert.match(missing.errors.join("\n"), /ybisk\/piqa/);
      assert.deepEqual(events.filter(({ type }) => type === "joined"), []);

      const ended = Promise.all([start([...evaluation, "--prompt-task"]), start(evaluation)]);
      for (const { code, errors } of await Promise.race([late.promise, ended])) {
        assert.equal(code, 0, errors.join("\n"));
      }
      const ids = defaultProgramIds();
      const { coordinatorAccount } = await fetchCoordinatorInstance(connection, ids, "evaluated");
      const reports = await fetchWitnessReports(connection, coordinatorAccount, {
        programId: ids.coordinator,
        transactions: 1000,
      });
      assert.deepEqual(monitor.weights.differing, []);
      assert.ok(monitor.weights.compared >= STEPS - 4, log());
      assert.deepEqual(events.filter(({ type }) => type === "warning"), []);

      const told = events.filter((event) => event.type === "evaluated");
      assert.equal(new Set(told.map(({ client }) => client)).size, 2, log());
      assert.ok(told.every(({ documents, total }) => documents <= total && total === DOCUMENTS));
      for (const { reported, documents } of told) assert.equal(reported, documents > DOCUMENTS / 2);
      assert.ok(told.some(({ reported }) => reported), log());

      const [writer] = events.filter((event) => event.type === "evaluation_ready" && event.prompts)
        .map(({ client }) => client);
      const valued = reports.filter(({ metadata }) => metadata.evals.length > 0);
      assert.equal(new Set(valued.map(({ witness }) => witness.toBase58())).size, 2, log());
      for (const { witness, metadata: { evals, promptResults, promptIndex } } of reports) {
        for (const { name, value } of evals) {
          assert.equal(name, "openbookqa");
          // The value is one of those that the client itself told.
          const own = told.filter(({ client }) => client === witness.toBase58());
          assert.ok(value >= 0 && value <= 1 && own.length > 0);
        }
        assert.ok(promptIndex < PROMPTS.length && promptResults.length <= 16);
        assert.ok(witness.equals(new PublicKey(writer)) || promptResults.length === 0);
      }
      // What was said last is what the last message of that client carries.
      for (const witness of new Set(valued.map(({ witness }) => witness.toBase58()))) {
        const last = valued.find((report) => report.witness.toBase58() === witness)!;
        const values = told.filter(({ client }) => client === witness)
          .map(({ average }) => Math.fround(average));
        assert.ok(values.includes(last.metadata.evals[0].value), log());
      }
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: commandLine("json-info-dump", [
          ...["--run-id", "evaluated", "--rpc", setup.rpcUrl, "--ws-rpc", setup.wsUrl, "--json"],
          ...["--witness-reports", "1000"],
        ]),
      }).output();
      const dump = JSON.parse(new TextDecoder().decode(stdout));
      assert.deepEqual(
        dump.witness_reports.map(({ evals }: { evals: object }) => evals),
        reports.map(({ metadata: { evals } }) =>
          Object.fromEntries(evals.map(({ name, value }) => [name, value]))
        ),
      );
      const written = reports.flatMap(({ metadata }) => metadata.promptResults);
      assert.ok(written.length >= 16, `${written.length} tokens\n${log()}`);
    } finally {
      clearTimeout(timer);
      for (const name of Object.keys(offline)) Deno.env.delete(name);
      await Promise.all(clients.map((client) => client.stop()));
      await closeConnection(connection);
      await setup.stop();
      await Deno.remove(directory, { recursive: true });
    }
  },
});

/** Questions with the columns of the real data set. */
async function writeQuestions(directory: string): Promise<void> {
  const rows = Array.from({ length: DOCUMENTS }, (_, i) =>
    JSON.stringify({
      question_stem: `Country number ${i} is`,
      choices: { text: ["large", "small", "far away", "green"], label: ["A", "B", "C", "D"] },
      answerKey: "ABCD"[i % 4],
    }));
  await Deno.mkdir(`${directory}/openbookqa`, { recursive: true });
  await Deno.writeTextFile(`${directory}/openbookqa/test.jsonl`, rows.join("\n"));
}
