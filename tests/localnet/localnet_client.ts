/** What the suites share: a localnet of their own, funded wallets, and connections that let go. */
import { Connection, type ConnectionConfig, Keypair } from "@solana/web3.js";
import {
  type SpawnedLocalnet,
  spawnLocalnet,
  type SpawnLocalnetOptions,
} from "../../lib/localnet/spawn.ts";

export interface TestClient {
  localnet: SpawnedLocalnet;
  connection: Connection;
  /** A new wallet with 10 SOL. */
  wallet(): Promise<Keypair>;
}

/** Runs `body` against a spawned localnet and ends that whatever happens. */
export async function withLocalnet(
  options: SpawnLocalnetOptions,
  body: (client: TestClient) => Promise<void>,
): Promise<void> {
  const localnet = await spawnLocalnet(options);
  const requests = new Set<Promise<unknown>>();
  const connection = new Connection(localnet.rpcUrl, {
    commitment: "confirmed",
    fetch: counted(requests) as ConnectionConfig["fetch"],
  });
  try {
    await body({ localnet, connection, wallet: () => fundedWallet(connection) });
  } finally {
    closeSocket(connection);
    while (requests.size > 0) await Promise.allSettled(requests);
    await localnet.stop();
  }
}

/**
 * A fetch that notes what is under way. web3.js leaves requests behind when a confirmation arrives
 * early, and their failure after the end of the localnet would be nobody's to catch.
 */
function counted(requests: Set<Promise<unknown>>): typeof fetch {
  return (...args: Parameters<typeof fetch>) => {
    const request = fetch(...args);
    requests.add(request);
    const done = (): boolean => requests.delete(request);
    request.then(done, done);
    return request;
  };
}

async function fundedWallet(connection: Connection): Promise<Keypair> {
  const wallet = Keypair.generate();
  await connection.requestAirdrop(wallet.publicKey, 10e9);
  return wallet;
}

/** Ends the websocket of a connection for good: left alone, it would reconnect for ever. */
export function closeSocket(connection: Connection): void {
  const internals = connection as unknown as {
    _rpcWebSocket: { close(): void; on(event: string, listener: () => void): void };
    _rpcWebSocketHeartbeat: ReturnType<typeof setInterval> | null;
    _rpcWebSocketIdleTimeout: ReturnType<typeof setTimeout> | null;
  };
  internals._rpcWebSocket.close();
  if (internals._rpcWebSocketHeartbeat) clearInterval(internals._rpcWebSocketHeartbeat);
  if (internals._rpcWebSocketIdleTimeout) clearTimeout(internals._rpcWebSocketIdleTimeout);
}

/** One JSON-RPC call with nothing in between. */
export async function rawCall(rpcUrl: string, method: string, ...params: unknown[]) {
  const response = await fetch(rpcUrl, {
    method: "POST",
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  return await response.json();
}

/** A promise with a limit, so that a lost notification fails a test instead of hanging it. */
export async function within<T>(milliseconds: number, what: string, promise: Promise<T>) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what}: nothing in ${milliseconds} ms`)),
      milliseconds,
    );
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
