/** Capacities of the protocol, docs/protocol/coordinator-state-machine.md section 1. */

/** Entries of the epoch list, the exited list and the joined list. */
export const MAX_CLIENTS = 256;
/** Stored witnesses of a round, and the witness count when `witness_nodes` is 0. */
export const MAX_WITNESSES = 32;
/** Rounds kept in the ring. */
export const STORED_ROUNDS = 4;
/** Bytes of a short fixed string. */
export const SHORT_TEXT = 64;
/** Bytes of a long fixed string (paths and URLs). */
export const LONG_TEXT = 192;
/** Bytes of a run id. */
export const RUN_ID_BYTES = 32;
/** Bytes of a client version. */
export const CLIENT_VERSION_BYTES = 96;
/** Bytes of a run's description. */
export const DESCRIPTION_BYTES = 280;
