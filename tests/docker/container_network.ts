/** A compose network of its own for a test: validator, run owner, clients. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { watchCoordinator } from "../../lib/chain/coordinator_reader.ts";
import { docker, dockerOutput } from "../../lib/container/docker.ts";
import { closeOperator, openReader, type ReaderContext } from "../../lib/operator/context.ts";
import { readRun } from "../../lib/operator/read_run.ts";
import type { CoordinatorState } from "../../lib/protocol/coordinator_state.ts";
import { ContainerClient, pauseContainer } from "./container_client.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const COMPOSE = join(ROOT, "docker/test");
const NANO = join(ROOT, "config/solana-test/nano-config.toml");

/** Chain time runs faster; limits of phases are wide, because tests share their machine. */
const CLOCK_RATE = 10;
/** Of three epochs and more: still wide, in chain seconds. */
export const SHORT_EPOCHS = { warmup_time: 150, max_round_train_time: 100, epoch_time: 160 };
const LIMITS = {
  warmup_time: 500,
  epoch_time: 600,
  max_round_train_time: 100,
  // Some tenths of a second: time for the witnesses' messages of a round that somebody is missing in.
  round_witness_time: 4,
  waiting_for_members_extra_time: 10,
  // No test waits for the end of a run.
  total_steps: 25_000,
};

export interface NetworkOptions {
  clients: number;
  /** Numbers of the `[config]` table that differ. */
  config?: Record<string, number>;
  /** The clients reach the validator through the services `rpc-proxy-1` and `rpc-proxy-2`. */
  proxies?: boolean;
}

/** Milliseconds, and the share of packets that vanish. */
export interface Fault {
  delay?: number;
  jitter?: number;
  loss?: number;
  /** Only what the container sends to these; default: to anybody. */
  to?: string[];
}

/** The images are those of every network of this process. */
let images: Promise<string> | undefined;

export class ContainerNetwork implements AsyncDisposable {
  readonly clients: ContainerClient[] = [];
  /** The run's states in order, as the chain told them. */
  readonly history: CoordinatorState[] = [];
  readonly #project = `psyche-test-${crypto.randomUUID().slice(0, 8)}`;
  readonly #end = new AbortController();
  readonly #options: NetworkOptions;
  #folder = "";
  #reader: ReaderContext | null = null;
  #watching: Promise<void> = Promise.resolve();
  #changed = Promise.withResolvers<void>();
  #containers = 0;

  private constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** Builds the images, once, and starts the network. */
  static async start(options: NetworkOptions): Promise<ContainerNetwork> {
    const network = new ContainerNetwork(options);
    try {
      await network.#start();
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  async #start() {
    const { clients, config } = this.#options;
    this.#folder = await Deno.makeTempDir({ prefix: "psyche-docker-" });
    let text = await Deno.readTextFile(NANO);
    const numbers = { ...LIMITS, init_min_clients: Math.max(1, clients), ...config };
    for (const [key, value] of Object.entries(numbers)) {
      const line = new RegExp(`^${key} = .*$`, "m");
      assert.match(text, line);
      text = text.replace(line, `${key} = ${value}`);
    }
    await Deno.writeTextFile(join(this.#folder, "config.toml"), text);
    // The container's user is another one.
    await Deno.chmod(this.#folder, 0o755);
    await (images ??= this.compose("--profile", "chaos", "build", "--quiet"));
    const scale = ["--scale", `psyche-test-client=${clients}`];
    try {
      await this.compose("up", "--detach", "--no-build", ...scale);
    } catch (error) {
      console.log(await this.compose("logs"));
      throw error;
    }
    for (let number = 1; number <= clients; number++) {
      this.clients.push(new ContainerClient(`${this.#project}-psyche-test-client-${number}`));
    }
    // Clients wait for it, but there may be none.
    const code = await dockerOutput(["wait", this.service("psyche-run-owner")]);
    assert.equal(code, "0", "the run owner failed");
    await this.#follow();
  }

  async #follow() {
    const [rpc, ws] = await Promise.all(
      ["8899", "8900"].map((port) => this.compose("port", "psyche-solana-test-validator", port)),
    );
    this.#reader = await openReader({ rpc: `http://${rpc}`, wsRpc: `ws://${ws}` });
    const { connection } = this.#reader;
    const { coordinatorAccount } = await readRun(this.#reader, "test");
    const first = this.#changed.promise;
    this.#watching = watchCoordinator(connection, coordinatorAccount, {
      signal: this.#end.signal,
      pollMillis: 1000,
      onState: (state) => {
        this.history.push(state);
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      },
    });
    await Promise.race([first, this.#watching]);
  }

  /** Ends the network and everything of it. */
  async [Symbol.asyncDispose]() {
    this.#end.abort();
    await this.#watching;
    if (this.#reader) await closeOperator(this.#reader);
    const logs = Deno.env.get("PSYCHE_TEST_LOGS");
    if (logs !== undefined) await this.#keepLogs(join(logs, this.#project));
    const others = this.clients.slice(this.#options.clients).map(({ name }) => name);
    if (others.length > 0) await dockerOutput(["rm", "--force", "--volumes", ...others]);
    await this.compose("down", "--volumes", "--timeout", "5");
    if (this.#folder) await Deno.remove(this.#folder, { recursive: true });
  }

  /** The run as the chain last told it. */
  get state(): CoordinatorState {
    return this.history.at(-1)!;
  }

  /** The validator's RPC, as this machine reaches it. */
  get rpcEndpoint(): string {
    return this.#reader!.endpoint.rpcUrl;
  }

  /** `docker compose` on this network, to its standard output. */
  async compose(...args: string[]): Promise<string> {
    const files = ["compose.yml", ...(this.#options.proxies ? ["compose.rpc-fallback.yml"] : [])];
    return await dockerOutput([
      "compose",
      ...files.flatMap((file) => ["--file", join(COMPOSE, file)]),
      "--project-name",
      this.#project,
      ...args,
    ], {
      environment: {
        CONFIG_PATH: join(this.#folder, "config.toml"),
        CLOCK_RATE: String(CLOCK_RATE),
        VALIDATOR_PORT: "",
        VALIDATOR_WS_PORT: "",
        RUN_ID: "test",
      },
    });
  }

  /** One more client; with a key file of this machine, or with a wallet that it makes. */
  async addClient(keyFile?: string): Promise<ContainerClient> {
    const client = new ContainerClient(`${this.#project}-client-${++this.#containers}`);
    await this.compose(
      ...["run", "--detach", "--no-deps", "--name", client.name],
      ...(keyFile === undefined ? [] : [
        // Nobody else may read it.
        ...["--volume", `${keyFile}:/keys/id.json:ro`, "--user", `${Deno.uid()}:${Deno.gid()}`],
        ...["--env", "WALLET_PRIVATE_KEY_PATH=/keys/id.json"],
      ]),
      "psyche-test-client",
    );
    this.clients.push(client);
    return client;
  }

  /** The container of a service that is there once. */
  service(name: string): string {
    return `${this.#project}-${name}-1`;
  }

  get validator(): string {
    return this.service("psyche-solana-test-validator");
  }

  /** A command of the toolkit as the owner of the run, in a container. */
  async owner(...command: string[]): Promise<string> {
    return await this.compose(
      ...["run", "--rm", "--no-deps", "psyche-run-owner", ...command],
      ...["--wallet-private-key-path", "/data/keys/run-owner.json"],
    );
  }

  /** Spoils what a container sends, until disposed of. */
  async spoil(container: string, fault: Fault): Promise<AsyncDisposable> {
    const { to, ...numbers } = fault;
    const flags = Object.entries(numbers).flatMap(([key, value]) => [`--${key}`, String(value)]);
    if (to) flags.push("--to", (await Promise.all(to.map((name) => this.#address(name)))).join());
    const name = `${container}-chaos-${++this.#containers}`;
    await dockerOutput([
      ...["run", "--detach", "--rm", "--init", "--name", name],
      ...["--network", `container:${container}`, "--cap-add", "NET_ADMIN"],
      ...["psyche-test-chaos", ...flags],
    ]);
    while (!(await dockerOutput(["logs", name])).includes("ready")) await delay(100);
    return {
      [Symbol.asyncDispose]: async () => {
        await dockerOutput(["stop", "--time", "5", name]);
      },
    };
  }

  async #address(container: string): Promise<string> {
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    return await dockerOutput(["inspect", "--format", format, container]);
  }

  /** Freezes the validator. */
  async pauseValidator(): Promise<AsyncDisposable> {
    await pauseContainer(this.validator);
    return {
      [Symbol.asyncDispose]: async () => {
        await dockerOutput(["unpause", this.validator]);
      },
    };
  }

  /** Takes a container off the network: nothing reaches it, it reaches nothing. */
  async unplug(container: string): Promise<AsyncDisposable> {
    const network = `${this.#project}_psyche-test-network`;
    await dockerOutput(["network", "disconnect", network, container]);
    return {
      [Symbol.asyncDispose]: async () => {
        await dockerOutput(["network", "connect", network, container]);
      },
    };
  }

  /**
   * Waits for a condition, looked at whenever the chain changes and twice a second besides.
   *
   * @throws Error after `seconds`, with the last words of the containers; AssertionError when a client has
   *   ended that should not have
   */
  async until<T>(
    what: string,
    seconds: number,
    look: (state: CoordinatorState) => T | Promise<T>,
  ): Promise<NonNullable<Exclude<T, false>>> {
    const end = performance.now() + 1000 * seconds;
    for (let looks = 1;; looks++) {
      const changed = this.#changed.promise;
      const found = await look(this.state);
      if (found) return found as NonNullable<Exclude<T, false>>;
      if (looks % 8 === 0) await this.assertNobodyCrashed();
      if (performance.now() > end) {
        await this.#lastWords();
        throw new Error(`${what} did not happen within ${seconds} s`);
      }
      await Promise.race([changed, delay(500)]);
    }
  }

  async assertNobodyCrashed() {
    for (const client of this.clients) {
      if (!client.shouldRun || await client.isRunning()) continue;
      await this.#lastWords();
      assert.fail(`${client.name} ended by itself`);
    }
  }

  async #keepLogs(folder: string) {
    await Deno.mkdir(folder, { recursive: true });
    for (const { name } of this.clients) {
      await Deno.writeTextFile(join(folder, `${name}.log`), await dockerOutput(["logs", name]));
    }
    const text = (_key: string, value: unknown) =>
      typeof value === "bigint"
        ? String(value)
        : value instanceof Uint8Array
        ? value.toHex()
        : value;
    const lines = this.history.map((state) => JSON.stringify(state, text) + "\n");
    await Deno.writeTextFile(join(folder, "chain.jsonl"), lines.join(""));
  }

  async #lastWords() {
    const { runState, progress, epochState } = this.state;
    console.log(runState, progress, epochState.clients.length, this.state.model.checkpoint);
    for (const { name } of this.clients) await docker(["logs", "--tail", "40", name]);
  }
}
