/** A proxy before a node's RPC that writes down what passes and spoils some of it. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** What happens to one request. */
export type Fault =
  | "pass"
  | "delay"
  /** It never arrives. */
  | "drop"
  /** It arrives, and its answer is lost. */
  | "lose answer"
  /** The node says thanks and forgets it. */
  | "swallow"
  | 429
  | 503;

export interface FaultyProxy {
  url: string;
  /** Methods in the order in which they came, and what became of them. */
  seen: { method: string; fault: Fault; params: unknown[] }[];
  stop(): Promise<void>;
}

const DELAY_MILLIS = 200;

export async function startFaultyProxy(
  target: string,
  faultOf: (method: string, index: number) => Fault,
): Promise<FaultyProxy> {
  const seen: FaultyProxy["seen"] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request.setEncoding("utf8")) body += part;
    const { method, params } = JSON.parse(body);
    const fault = faultOf(method, seen.length);
    seen.push({ method, fault, params });
    if (typeof fault === "number") {
      return response.writeHead(fault, fault === 429 ? { "Retry-After": "1" } : {}).end("busy");
    }
    if (fault === "swallow") {
      return response.end(JSON.stringify({ jsonrpc: "2.0", id: 1, result: "" }));
    }
    if (fault === "drop") return response.destroy();
    if (fault === "delay") await new Promise((resolve) => setTimeout(resolve, DELAY_MILLIS));
    const headers = { "Content-Type": "application/json" };
    const answer = await (await fetch(target, { method: "POST", headers, body })).text();
    if (fault === "lose answer") return response.destroy();
    response.writeHead(200, headers).end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
