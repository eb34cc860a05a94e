/** One raw JSON-RPC call, keeping the error's code and data (web3.js turns both into text). */
import type { Connection } from "@solana/web3.js";
import { clusterOf } from "./connection.ts";
import { PsycheError } from "../error.ts";

/** An error object as the node sent it. */
export class RpcError extends PsycheError {
  constructor(
    message: string,
    /** JSON-RPC error code, for example -32601 for an unknown method. */
    readonly rpcCode: number,
    readonly data: unknown,
  ) {
    super("RPC_ERROR", message);
  }
}

type RpcAnswer = { result: unknown } | { error: { code: number; message: string; data?: unknown } };

/**
 * Call `method` and return its result unchecked.
 * @throws RpcError when the node answers with an error; what the connection's fetch throws
 */
export async function rpcRequest(
  connection: Connection,
  method: string,
  params: unknown[],
): Promise<unknown> {
  const inner = connection as unknown as {
    _rpcRequest(method: string, params: unknown[]): Promise<RpcAnswer>;
  };
  const answer = await inner._rpcRequest(method, params);
  if ("error" in answer && answer.error) {
    const { code, message, data } = answer.error;
    throw new RpcError(
      `The cluster ${
        clusterOf(connection)
      } refused ${method} with error ${code} (${message}); check the call and the cluster's version.`,
      code,
      data,
    );
  }
  return (answer as { result: unknown }).result;
}
