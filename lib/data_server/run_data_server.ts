/** A run's data server from start to end; docs/protocol/training-math.md section 6.7. */
import type { Connection } from "@solana/web3.js";
import {
  fetchCoordinator,
  fetchCoordinatorInstance,
  watchCoordinator,
} from "../chain/coordinator_reader.ts";
import type { ProgramIds } from "../chain/programs.ts";
import { PsycheError } from "../error.ts";
import { type CoordinatorState, RunState } from "../protocol/coordinator_state.ts";
import { type DataSpan, dataSpan } from "../protocol/data_span.ts";
import type { Answered } from "./conversation.ts";
import type { DataConfig } from "./data_config.ts";
import { openServedData } from "./open_served_data.ts";
import { RunStates } from "./run_states.ts";
import { serveData } from "./serve_data.ts";

export interface RunDataServerOptions {
  connection: Connection;
  ids: ProgramIds;
  runId: string;
  config: DataConfig;
  /** Address to listen on, and its port; 0 takes any. */
  host: string;
  port: number;
  onReady: (ready: DataServerReady) => void;
  onAnswer: (answered: Answered) => void;
  /** A sentence on something that the owner should look at. */
  onWarning: (message: string) => void;
}

export interface DataServerReady {
  host: string;
  port: number;
  /** `data_location` of the run as it stands on chain, null when it is of another kind. */
  addressOnChain: string | null;
  span: DataSpan;
}

/**
 * Serves until the run is finished or `signal` is aborted.
 *
 * @throws PsycheError `RUN_NOT_FOUND`, `DATA_CONFIG_INVALID` when the sequence length is not, or no longer,
 *   the run's, `DATA_SERVER_PORT`, `RUN_CLOSED`, and what opening the data throws
 */
export async function runDataServer(
  options: RunDataServerOptions,
  signal: AbortSignal,
): Promise<"finished" | "interrupted"> {
  const { connection, ids, runId, config, host, port, onReady, onAnswer, onWarning } = options;
  const { coordinatorAccount } = await fetchCoordinatorInstance(connection, ids, runId);
  const { state } = await fetchCoordinator(connection, coordinatorAccount);
  const { dataLocation } = state.model;
  checkSequenceLength(config, state);
  const data = await openServedData(config, signal);
  const states = new RunStates(state);
  const onProblem = (error: unknown, remote: string) => {
    // Visitors that come and go are no news.
    if (error instanceof PsycheError) return;
    onWarning(`The conversation with ${remote} failed: ${error}; please report it.`);
  };
  const server = serveData({ data, runId, states, host, port, onAnswer, onProblem });
  const end = new AbortController();
  try {
    const addressOnChain = dataLocation.kind === "Server" ? dataLocation.address : null;
    const span = dataSpan(state, data.sequences);
    if (addressOnChain === null) {
      onWarning(
        `Run "${runId}" takes its data from elsewhere (${dataLocation.kind}); set data_location = ` +
          `{ Server = "<host>:${server.port}" } with update-config.`,
      );
    }
    if (span.shortage !== null) onWarning(span.shortage);
    onReady({ host: server.host, port: server.port, addressOnChain, span });
    await watchCoordinator(connection, coordinatorAccount, {
      signal: AbortSignal.any([signal, end.signal]),
      onState(newer) {
        // The owner may change it while the run is paused.
        checkSequenceLength(config, newer);
        states.put(newer);
        if (newer.runState === RunState.Finished) end.abort();
      },
      onProblem: (error) => onWarning(`The chain is not heard well: ${error.message}`),
    });
    return end.signal.aborted ? "finished" : "interrupted";
  } catch (error) {
    // A request that the interruption cut off.
    if (signal.aborted) return "interrupted";
    throw error;
  } finally {
    await server.close();
  }
}

function checkSequenceLength(
  { sequenceLength }: DataConfig,
  { runId, model: { maxSeqLen } }: CoordinatorState,
): void {
  if (sequenceLength === maxSeqLen) return;
  throw new PsycheError(
    "DATA_CONFIG_INVALID",
    `seq_len of the data configuration is ${sequenceLength} and max_seq_len of run "${runId}" is ${maxSeqLen}; make them equal (a new run is configured with update-config).`,
  );
}
