/** Follows the logs of all transactions of a cluster. */
import type { Connection } from "@solana/web3.js";

/** One transaction in lines, in the form of the Solana CLI. */
export type LogListener = (lines: string[]) => void;

/** Starts following; returns the way to stop. */
export function streamLogs(connection: Connection, onLogs: LogListener): () => Promise<void> {
  const id = connection.onLogs("all", ({ signature, err, logs }, { slot }) => {
    onLogs([
      `Transaction executed in slot ${slot}:`,
      `  Signature: ${signature}`,
      `  Status: ${err === null ? "Ok" : `Error ${JSON.stringify(err)}`}`,
      "  Log Messages:",
      ...logs.map((line) => `    ${line}`),
    ]);
  }, "confirmed");
  return () => connection.removeOnLogsListener(id);
}
