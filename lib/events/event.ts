/**
 * The event stream of a training client: one flat JSON object a line. The terminal view, the demo and
 * the tests read it; nothing else couples them to the client.
 *
 * Keys are snake case because the lines are read by other programs as well. Steps, rounds and epochs
 * carry the meaning of docs/protocol/coordinator-state-machine.md.
 */
export type ClientEvent =
  | { type: "started"; run_id: string; p2p: string; addresses: string[]; threads: number }
  | {
    type: "state";
    run_state: string;
    epoch: number;
    step: number;
    round: number;
    clients: number;
    member: boolean;
    /** Witness messages stored in the round, and how many of them have to agree. */
    witnesses: number;
    quorum: number;
  }
  | { type: "joined"; epoch: number; signature: string }
  | { type: "waiting"; reason: string }
  | {
    /** Every ten seconds until `model_loaded`. */
    type: "model_loading";
    source: string;
    /** Parameters (single numbers) that are there, of how many; null while that is not known. */
    loaded: number | null;
    parameters: number | null;
  }
  | {
    type: "model_loaded";
    source: string;
    parameters: number;
    /** cpu, cuda, cuda:N or webgpu; of several data-parallel ranks one each, with commas. */
    device: string;
    weights_sha256: string;
  }
  | {
    type: "data_ready";
    /** Null for data without end. */
    sequences: number | null;
    /** Steps of the run that they last from here on, and how many there are to go. */
    steps: number;
    steps_left: number;
  }
  | {
    type: "round";
    epoch: number;
    round: number;
    step: number;
    batches: string[];
    witness: boolean;
  }
  | {
    type: "trained";
    epoch: number;
    round: number;
    step: number;
    batch: string;
    sequences: number;
    tokens: number;
    loss: number;
    milliseconds: number;
    /** Size of the result as peers fetch it, and of the same update as plain fp32. */
    bytes: number;
    bytes_dense: number;
  }
  | { type: "received"; step: number; batch: string; from: string; bytes: number }
  | {
    type: "applied";
    epoch: number;
    round: number;
    step: number;
    results: number;
    milliseconds: number;
    /** Tells whether clients hold the same weights; far cheaper than SHA-256, and not in its place. */
    weights_fingerprint: string;
  }
  | { type: "transaction"; name: string; signature: string; fee_lamports: number }
  | { type: "transaction_failed"; name: string; code: string; message: string }
  /** Whom this client reports: the first four bytes of a wallet, hex. */
  | { type: "unhealthy"; member: string; step: number }
  | { type: "untrained_batch"; step: number; batch: string; expected: string }
  | { type: "peers"; connected: number; sent: number; received: number; dropped: number }
  | {
    type: "evaluation_ready";
    tasks: { task: string; documents: number }[];
    /** Whether the model also writes texts. */
    prompts: boolean;
  }
  | {
    type: "evaluated";
    step: number;
    task: string;
    metric: string;
    /** Share of right answers among the latest ones to `documents` of all `total` documents. */
    average: number;
    documents: number;
    total: number;
    /** Whether these are enough for the average to be told to the chain. */
    reported: boolean;
  }
  | { type: "prompted"; index: number; prompt: string; continuation: string; tokens: number }
  | { type: "checkpoint"; path: string; step: number; weights_sha256: string }
  /** The chain names a checkpoint of this client now. */
  | { type: "checkpoint_recorded"; step: number; place: string; signature: string }
  | {
    type: "checkpoint_failed";
    step: number;
    stage: "save" | "upload" | "record" | "delete";
    code: string;
    message: string;
  }
  | { type: "left_epoch"; epoch: number; reason: string }
  | { type: "warning"; code: string; message: string }
  | { type: "stopped"; reason: "finished" | "interrupted" };

/** An event with the wall-clock time (milliseconds since 1970) and the wallet (base58) of its client. */
export type TimedEvent = ClientEvent & { time: number; client: string };

/** Receives events; must not throw. */
export type EventSink = (event: ClientEvent) => void;
