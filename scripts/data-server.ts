/** Serves a run's training data over TCP; docs/protocol/training-math.md section 6.7. */
import { defineCommand } from "../lib/cli/command.ts"; // first: it tames libraries while they load
import { loadDataConfig } from "../lib/data_server/data_config.ts";
import { runDataServer } from "../lib/data_server/run_data_server.ts";
import { defaulted, integer, text } from "../lib/cli/flag.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, RUN_ID_FLAG } from "../lib/cli/flag_sets.ts";
import { runCommand } from "../lib/cli/run_command.ts";
import { withReader } from "../lib/cli/with_operator.ts";

export const command = defineCommand({
  name: "data-server",
  summary: "Serves a run's training data to its clients, each its own share, until it is finished.",
  examples: [
    ["deno task data-server --run-id test", "serve what data.toml names, on port 20001"],
    [
      "deno task data-server --rpc devnet --run-id my-run --data-config data/data.toml --port 7000",
      "another file and port",
    ],
  ],
  flags: {
    ...RUN_ID_FLAG,
    ...CLUSTER_FLAGS,
    ...PROGRAM_FLAGS,
    dataConfig: defaulted(
      text({ summary: "file with dir, token_size, seq_len, shuffle_seed", placeholder: "<file>" }),
      "data.toml",
    ),
    bind: defaulted(
      text({ summary: "address to listen on", placeholder: "<ip>", environment: [] }),
      "0.0.0.0",
    ),
    port: defaulted(
      integer({
        summary: "port to listen on, 0 = any",
        placeholder: "<port>",
        max: 65_535,
        environment: [],
      }),
      "20001",
    ),
  },
  async run(command) {
    const { settings: { runId, dataConfig, bind, port }, output, signal } = command;
    const config = await loadDataConfig(dataConfig);
    await withReader(command, async ({ connection, programIds: ids }) => {
      const reason = await runDataServer({
        connection,
        ids,
        runId,
        config,
        host: bind,
        port,
        onReady: ({ host, port, addressOnChain, span }) =>
          output.result({
            run_id: runId,
            host,
            port,
            address_on_chain: addressOnChain,
            sequences: span.sequences,
            steps: span.steps,
            steps_left: span.stepsLeft,
          }, [
            `Serving ${span.sequences?.toLocaleString("en") ?? "endless"} sequences of run ` +
            `${runId} on ${host}:${port}: enough for ${span.steps} of ${span.stepsLeft} steps.`,
          ]),
        onAnswer: ({ client, batch, outcome, bytes, error }) => {
          output.stream(`${batch} for ${client.slice(0, 8)}: ${outcome}, ${bytes} bytes`);
          if (error) output.warn(error instanceof Error ? error.message : String(error));
        },
        onWarning: output.warn,
      }, signal);
      output.say(reason === "finished" ? `Run ${runId} is finished.` : "Stopped.");
    });
  },
});

if (import.meta.main) await runCommand(command);
