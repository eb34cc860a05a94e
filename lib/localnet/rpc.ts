/** The JSON-RPC 2.0 dispatcher: text in, text out, never throws. */
import { PsycheError } from "../error.ts";
import { toJson } from "./encode.ts";
import { RpcCode, RpcError } from "./errors.ts";
import { type LocalnetNode, type Method, type Methods } from "./node.ts";
import { Params } from "./params.ts";
import { accountMethods } from "./rpc_accounts.ts";
import { clusterMethods } from "./rpc_cluster.ts";
import { historyMethods } from "./rpc_history.ts";
import { tokenMethods } from "./rpc_tokens.ts";
import { transactionMethods } from "./rpc_transactions.ts";

/** Calls that one batch may hold. */
export const BATCH_LIMIT = 100;
/** Characters of one answer, batches included: room for several of the largest accounts. */
const ANSWER_LIMIT = 64 * 1024 * 1024;

/** All methods over HTTP and websocket; subscriptions come on top, see pubsub.ts. */
export function allMethods(node: LocalnetNode): Methods {
  return {
    ...clusterMethods(node),
    ...accountMethods(node),
    ...tokenMethods(node),
    ...transactionMethods(node),
    ...historyMethods(node),
  };
}

/** Finds the method of a name; own properties only, so that "constructor" is not one. */
export function lookup(methods: Methods): (name: string) => Method | undefined {
  return (name) => Object.hasOwn(methods, name) ? methods[name] : undefined;
}

/**
 * Answers one request body, a single call or a batch.
 *
 * @returns the response body, or undefined when there is nothing to answer (notifications only)
 */
export function dispatch(
  find: (name: string) => Method | undefined,
  body: string,
): string | undefined {
  let request: unknown;
  try {
    request = JSON.parse(body);
  } catch {
    return toJson(failure(null, new RpcError(RpcCode.ParseError, "Parse error")));
  }
  if (!Array.isArray(request)) return call(find, request, ANSWER_LIMIT);
  if (request.length === 0 || request.length > BATCH_LIMIT) {
    const text = `A batch has 1 to ${BATCH_LIMIT} calls, not ${request.length}`;
    return toJson(failure(null, new RpcError(RpcCode.InvalidRequest, text)));
  }
  const answers: string[] = [];
  let room = ANSWER_LIMIT;
  for (const it of request) {
    const answer = call(find, it, room);
    if (answer === undefined) continue;
    answers.push(answer);
    room -= answer.length;
  }
  return answers.length > 0 ? `[${answers}]` : undefined;
}

function call(
  find: (name: string) => Method | undefined,
  request: unknown,
  room: number,
): string | undefined {
  if (typeof request !== "object" || request === null || Array.isArray(request)) {
    return toJson(failure(null, new RpcError(RpcCode.InvalidRequest, "Invalid request")));
  }
  const { id, method, params } = request as { id?: unknown; method?: unknown; params?: unknown };
  const answerId = typeof id === "number" || typeof id === "string" ? id : null;
  if (typeof method !== "string") {
    return toJson(failure(answerId, new RpcError(RpcCode.InvalidRequest, "Invalid request")));
  }
  // A call without id is a notification, for example the "ping" of web3.js: never answered.
  const silent = id === undefined;
  try {
    const found = find(method);
    if (!found) throw new RpcError(RpcCode.MethodNotFound, "Method not found");
    const result = found(new Params(params));
    if (silent) return undefined;
    const answer = toJson({ jsonrpc: "2.0", result: result ?? null, id: answerId });
    if (answer.length <= room) return answer;
    const text = `The answer has ${answer.length} characters, too many; ask for less at a time`;
    throw new RpcError(RpcCode.InvalidRequest, text);
  } catch (error) {
    return silent ? undefined : toJson(failure(answerId, toRpcError(error)));
  }
}

function toRpcError(error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  if (error instanceof PsycheError) return new RpcError(RpcCode.InvalidParams, error.message);
  const text = error instanceof Error ? error.message : String(error);
  return new RpcError(RpcCode.InternalError, `Internal error: ${text}`);
}

function failure(id: string | number | null, error: RpcError): object {
  const { code, message, data } = error;
  return { jsonrpc: "2.0", error: { code, message, ...(data === undefined ? {} : { data }) }, id };
}
