import { Keypair } from "@solana/web3.js";
import { fileURLToPath } from "node:url";
import { commandLine } from "../../lib/cli/command_line.ts";
import { type ClientProcess, startClientProcess } from "../../lib/demo/client_process.ts";
import { demoConfig } from "../../lib/demo/demo_config.ts";
import type { TimedEvent } from "../../lib/events/event.ts";
import { RunMonitor } from "../../lib/events/run_monitor.ts";
import { loadRunConfig } from "../../lib/operator/load_run_config.ts";
import { prepareDemo } from "../../lib/operator/prepare_demo.ts";
import { setupLocalnet } from "../../lib/operator/setup_localnet.ts";
import type { CoordinatorConfig, Model } from "../../lib/protocol/coordinator_state.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const RUN_ID = "real";
/** Far more than a run needs, on a busy machine too. */
const LIMIT = 180_000;

/** A run of the nano model on a localnet in this process; its clients are processes of their own. */
export class RealRun {
  readonly directory: string;
  readonly events: TimedEvent[] = [];
  readonly monitor = new RunMonitor();
  readonly #clients: ClientProcess[] = [];
  readonly #net: Awaited<ReturnType<typeof setupLocalnet>>;
  readonly #late = Promise.withResolvers<never>();
  readonly #timer: ReturnType<typeof setTimeout>;
  #closed = false;

  private constructor(directory: string, net: Awaited<ReturnType<typeof setupLocalnet>>) {
    this.directory = directory;
    this.#net = net;
    this.#late.promise.catch(() => {});
    const late = () => this.#late.reject(new Error(`unfinished:\n${this.log()}`));
    this.#timer = setTimeout(late, LIMIT);
  }

  /** @param change changes the configuration that a demonstration of this size has */
  static async create(
    size: { clients: number; steps: number },
    change: (run: { config: CoordinatorConfig; model: Model }) => void = () => {},
  ): Promise<RealRun> {
    const directory = await Deno.makeTempDir();
    const { dataDirectory, modelDirectory } = await prepareDemo(`${ROOT}.psyche`);
    const base = await loadRunConfig(`${ROOT}config/solana-test/nano-config.toml`);
    const config = demoConfig(base, { ...size, seed: 1, modelDirectory });
    change(config);
    const net = await setupLocalnet({
      rpcPort: 0,
      wallet: Keypair.generate(),
      runId: RUN_ID,
      config,
      clockRate: 20,
      dataDirectory,
      programsDirectory: `${ROOT}programs`,
      runsDirectory: `${directory}/runs`,
      keysDirectory: `${directory}/keys`,
    });
    return new RealRun(directory, net);
  }

  /** Starts a client that trains on the CPU. */
  start(...flags: string[]): ClientProcess {
    const client = startClientProcess(
      commandLine("train", [
        ...["--run-id", RUN_ID, "--rpc", this.#net.rpcUrl, "--ws-rpc", this.#net.wsUrl],
        ...["--device", "cpu", "--bind-p2p-host", "127.0.0.1"],
        ...["--address-book", `${this.directory}/peers`],
        ...["--key-directory", `${this.directory}/keys`],
        ...flags,
      ]),
      (event) => {
        this.events.push(event);
        this.monitor.add(event);
      },
    );
    this.#clients.push(client);
    return client;
  }

  /** Events of one kind, of all clients. */
  of<Type extends TimedEvent["type"]>(type: Type): Extract<TimedEvent, { type: Type }>[] {
    return this.events.filter((event): event is Extract<TimedEvent, { type: Type }> =>
      event.type === type
    );
  }

  /** What `promise` gives, unless the run takes too long or a client of `clients` fails before. */
  async within<Value>(promise: Promise<Value>, clients: ClientProcess[] = []): Promise<Value> {
    const failures = clients.map(async ({ ended }) => {
      const { code, errors } = await ended;
      if (code !== 0) throw new Error(errors.join("\n"));
      return await promise;
    });
    return await Promise.race([this.#late.promise, promise, ...failures]);
  }

  /** Resolves when an event of this type has arrived, or the run is closed. */
  async first(type: TimedEvent["type"]): Promise<void> {
    while (!this.#closed && this.of(type).length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The last events, for the message of a failed assertion. */
  log(): string {
    return this.events.slice(-100).map((event) => JSON.stringify(event)).join("\n");
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await Promise.all(this.#clients.map((client) => client.stop()));
    await this.#net.stop();
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** A test of a whole run. */
export function testRun(name: string, fn: () => Promise<void>): void {
  // web3.js and child processes keep handles a little longer than the test.
  Deno.test({ name, sanitizeResources: false, sanitizeOps: false, fn });
}
