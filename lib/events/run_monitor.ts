import type { TimedEvent } from "./event.ts";

/** What one client last said about itself. */
export interface MonitoredClient {
  /** Wallet, base58. */
  client: string;
  runState: string;
  step: number;
  connectedPeers: number;
  droppedMessages: number;
  /** Tokens that this client trained. */
  tokens: number;
  trainingMilliseconds: number;
  stopped: string | null;
  problems: string[];
}

/** A step of the run, put together from the clients that trained a part of it. */
export interface MonitoredStep {
  step: number;
  /** Mean loss over all its sequences, nats per token. */
  loss: number;
  sequences: number;
  results: number;
}

/** Weights after one round, by client. */
interface RoundWeights {
  key: string;
  byClient: Map<string, string>;
}

/**
 * Puts the events of all clients of a run together: phase, loss of each step, bytes, and whether all
 * clients held the same weights after every round. Only reads events, so it works on a log file as
 * well as on live processes.
 */
export class RunMonitor {
  readonly clients = new Map<string, MonitoredClient>();
  readonly #steps = new Map<number, { lossSum: number; sequences: number; results: number }>();
  readonly #weights = new Map<string, RoundWeights>();
  #bytesPerResult = 0;
  #bytesDense = 0;
  #runState = "";
  #epoch = 0;
  #step = 0;
  #members = 0;
  #witnesses = { received: 0, quorum: 0 };
  #firstTrained = Infinity;
  #lastTrained = -Infinity;
  checkpoint: { path: string; step: number; weightsSha256: string; client: string } | null = null;
  /** Of the last round that any client applied. */
  finalFingerprint: string | null = null;

  add(event: TimedEvent): void {
    const client = this.#client(event.client);
    switch (event.type) {
      case "state":
        client.runState = this.#runState = event.run_state;
        client.step = event.step;
        this.#epoch = Math.max(this.#epoch, event.epoch);
        this.#step = Math.max(this.#step, event.step);
        this.#members = event.clients;
        if (event.witnesses > 0) {
          this.#witnesses = { received: event.witnesses, quorum: event.quorum };
        }
        break;
      case "trained": {
        const step = this.#steps.get(event.step) ?? { lossSum: 0, sequences: 0, results: 0 };
        step.lossSum += event.loss * event.sequences;
        step.sequences += event.sequences;
        step.results++;
        this.#steps.set(event.step, step);
        this.#bytesPerResult = event.bytes;
        this.#bytesDense = event.bytes_dense;
        client.tokens += event.tokens;
        client.trainingMilliseconds += event.milliseconds;
        this.#firstTrained = Math.min(this.#firstTrained, event.time - event.milliseconds);
        this.#lastTrained = Math.max(this.#lastTrained, event.time);
        break;
      }
      case "applied": {
        const key = `${event.epoch}/${event.round}`;
        const round = this.#weights.get(key) ?? { key, byClient: new Map() };
        round.byClient.set(event.client, event.weights_fingerprint);
        this.#weights.set(key, round);
        this.finalFingerprint = event.weights_fingerprint;
        break;
      }
      case "checkpoint":
        this.checkpoint = {
          path: event.path,
          step: event.step,
          weightsSha256: event.weights_sha256,
          client: event.client,
        };
        break;
      case "peers":
        client.connectedPeers = event.connected;
        client.droppedMessages = event.dropped;
        break;
      case "warning":
      case "transaction_failed":
        client.problems.push(`${event.code}: ${event.message}`);
        break;
      case "left_epoch":
        client.problems.push(`left epoch ${event.epoch}: ${event.reason}`);
        break;
      case "untrained_batch":
        client.problems.push(`step ${event.step}: batch ${event.batch} was not accepted`);
        break;
      case "stopped":
        client.stopped = event.reason;
        break;
    }
  }

  get runState(): string {
    return this.#runState;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get step(): number {
    return this.#step;
  }

  /** Members of the epoch, as last reported. */
  get members(): number {
    return this.#members;
  }

  /** Witness messages of the last witnessed round and how many of them had to agree. */
  get witnesses(): { received: number; quorum: number } {
    return this.#witnesses;
  }

  /** Bytes of the last result as peers fetch it, and of the same update as plain fp32. */
  get bytes(): { perResult: number; dense: number } {
    return { perResult: this.#bytesPerResult, dense: this.#bytesDense };
  }

  /** All trained steps, ascending. */
  get steps(): MonitoredStep[] {
    return [...this.#steps]
      .sort(([a], [b]) => a - b)
      .map(([step, { lossSum, sequences, results }]) => ({
        step,
        loss: lossSum / sequences,
        sequences,
        results,
      }));
  }

  /** Training throughput over all clients, tokens per second of wall time; 0 before the second step. */
  get tokensPerSecond(): number {
    const tokens = [...this.clients.values()].reduce((sum, client) => sum + client.tokens, 0);
    const seconds = (this.#lastTrained - this.#firstTrained) / 1000;
    return seconds > 0 ? tokens / seconds : 0;
  }

  /**
   * Compares the weights of all clients round by round. `compared` counts the rounds that at least two
   * clients reported; without any, nothing is known and `equal` is false, unless there is one client.
   */
  get weights(): { equal: boolean; compared: number; differing: string[] } {
    const comparable = [...this.#weights.values()].filter((round) => round.byClient.size >= 2);
    const differing = comparable
      .filter((round) => new Set(round.byClient.values()).size > 1)
      .map((round) => round.key);
    return {
      equal: differing.length === 0 && (comparable.length > 0 || this.clients.size === 1),
      compared: comparable.length,
      differing,
    };
  }

  #client(name: string): MonitoredClient {
    let client = this.clients.get(name);
    if (!client) {
      client = {
        client: name,
        runState: "",
        step: 0,
        connectedPeers: 0,
        droppedMessages: 0,
        tokens: 0,
        trainingMilliseconds: 0,
        stopped: null,
        problems: [],
      };
      this.clients.set(name, client);
    }
    return client;
  }
}
