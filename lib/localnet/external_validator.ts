/** Validators that the user has installed, started in the place of the embedded localnet. */
import { PsycheError } from "../error.ts";
import type { SpawnedLocalnet } from "./spawn.ts";

export type ExternalValidator = "solana-test-validator" | "surfpool";

export interface ExternalValidatorOptions {
  /** Default 8899; websockets are on the next port. */
  rpcPort?: number;
  /** Default 127.0.0.1. */
  bindAddress?: string;
  /** Program to start; default: the validator's name, looked up on the PATH. */
  executable?: string;
  /** Milliseconds until it must answer. Default 60,000. */
  startLimitMs?: number;
}

const POLL_MS = 100;
/** A validator that does not end by itself within this is killed. */
const STOP_LIMIT_MS = 5_000;

/**
 * Starts an installed validator and resolves when it answers RPC. Its ledger is temporary.
 *
 * Unlike the embedded localnet it does not notice the death of this process: call `stop`.
 *
 * @throws PsycheError `VALIDATOR_NOT_FOUND`, `LOCALNET_START_FAILED`
 */
export async function spawnExternalValidator(
  kind: ExternalValidator,
  options: ExternalValidatorOptions = {},
  { signal }: { signal?: AbortSignal } = {},
): Promise<SpawnedLocalnet> {
  signal?.throwIfAborted();
  const rpcPort = options.rpcPort ?? 8899;
  const host = options.bindAddress ?? "127.0.0.1";
  const ledger = await Deno.makeTempDir({ prefix: "validator-" });
  const removeLedger = (): Promise<void> => Deno.remove(ledger, { recursive: true });
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(options.executable ?? kind, {
      args: validatorArguments(kind, host, rpcPort, ledger),
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  } catch (cause) {
    await removeLedger();
    throw new PsycheError(
      "VALIDATOR_NOT_FOUND",
      `${options.executable ?? kind} cannot be started; install it, or use the embedded localnet.`,
      { cause },
    );
  }
  const ended = child.status.then(({ code, signal }) => ({ code, signal }));
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => stopping ??= stopValidator(child).finally(removeLedger);
  const onAbort = (): void => void stop();
  signal?.addEventListener("abort", onAbort, { once: true });
  ended.then(() => signal?.removeEventListener("abort", onAbort));

  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host;
  const rpcUrl = `http://${reachable}:${rpcPort}`;
  const deadline = performance.now() + (options.startLimitMs ?? 60_000);
  let gone = false;
  ended.then(() => gone = true);
  while (performance.now() < deadline && !gone && !signal?.aborted) {
    const genesisHash = await askGenesisHash(rpcUrl);
    if (genesisHash && !gone) {
      const wsUrl = `ws://${reachable}:${rpcPort + 1}`;
      return { rpcUrl, wsUrl, pid: child.pid, genesisHash, ended, stop };
    }
    await new Promise((next) => setTimeout(next, POLL_MS));
  }
  const code = gone ? `ended with code ${(await ended).code}` : "did not answer in time";
  await stop();
  signal?.throwIfAborted();
  throw new PsycheError(
    "LOCALNET_START_FAILED",
    `${kind} ${code} on port ${rpcPort}; start it by hand to see why, or choose another port.`,
  );
}

function validatorArguments(
  kind: ExternalValidator,
  host: string,
  rpcPort: number,
  ledger: string,
): string[] {
  const [rpc, ws] = [String(rpcPort), String(rpcPort + 1)];
  return kind === "surfpool"
    ? ["start", "--no-tui", "--offline", "--no-deploy", "--host", host]
      .concat("--port", rpc, "--ws-port", ws)
    : ["--reset", "--quiet", "--ledger", ledger, "--bind-address", host, "--rpc-port", rpc];
}

async function askGenesisHash(rpcUrl: string): Promise<string | undefined> {
  try {
    const response = await fetch(rpcUrl, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "getGenesisHash" }),
      signal: AbortSignal.timeout(2000),
    });
    const { result } = await response.json();
    return typeof result === "string" ? result : undefined;
  } catch {
    return undefined;
  }
}

async function stopValidator(child: Deno.ChildProcess): Promise<void> {
  const kill = (signal: Deno.Signal): void => {
    try {
      child.kill(signal);
    } catch {
      // Gone already.
    }
  };
  kill("SIGTERM");
  const timer = setTimeout(() => kill("SIGKILL"), STOP_LIMIT_MS);
  await child.status;
  clearTimeout(timer);
}
