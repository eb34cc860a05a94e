/** A compose network of its own for a test: validator, run owner, clients. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { docker, dockerOutput } from "../../lib/container/docker.ts";
import type { TimedEvent } from "../../lib/events/event.ts";
import { readEventLines } from "../../lib/events/event_lines.ts";
import { closeOperator, openReader, type ReaderContext } from "../../lib/operator/context.ts";
import { readRun } from "../../lib/operator/read_run.ts";
import type { CoordinatorState } from "../../lib/protocol/coordinator_state.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const COMPOSE = join(ROOT, "docker/test/compose.yml");
const NANO = join(ROOT, "config/solana-test/nano-config.toml");

/** Chain time runs faster; limits of phases are wide, because tests share their machine. */
const CLOCK_RATE = 10;
const LIMITS = {
  warmup_time: 500,
  epoch_time: 600,
  max_round_train_time: 100,
  waiting_for_members_extra_time: 10,
};

export class ContainerNetwork implements AsyncDisposable {
  readonly #project = `psyche-test-${crypto.randomUUID().slice(0, 8)}`;
  #folder = "";
  #reader: ReaderContext | null = null;

  /** Builds the images and starts the network; `config` overrides numbers of the `[config]` table. */
  static async start(clients: number, config: Record<string, number> = {}) {
    const network = new ContainerNetwork();
    try {
      await network.#start(clients, { ...LIMITS, init_min_clients: clients, ...config });
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  async #start(clients: number, config: Record<string, number>) {
    this.#folder = await Deno.makeTempDir({ prefix: "psyche-docker-" });
    let text = await Deno.readTextFile(NANO);
    for (const [key, value] of Object.entries(config)) {
      const line = new RegExp(`^${key} = .*$`, "m");
      assert.match(text, line);
      text = text.replace(line, `${key} = ${value}`);
    }
    await Deno.writeTextFile(join(this.#folder, "config.toml"), text);
    // The container's user is another one.
    await Deno.chmod(this.#folder, 0o755);
    await this.compose("build", "--quiet");
    await this.scale(clients);
    const [rpc, ws] = await Promise.all(
      ["8899", "8900"].map((port) => this.compose("port", "psyche-solana-test-validator", port)),
    );
    this.#reader = await openReader({ rpc: `http://${rpc}`, wsRpc: `ws://${ws}` });
  }

  /** Ends the network and everything of it. */
  async [Symbol.asyncDispose]() {
    if (this.#reader) await closeOperator(this.#reader);
    await this.compose("down", "--volumes", "--timeout", "5");
    if (this.#folder) await Deno.remove(this.#folder, { recursive: true });
  }

  /** `docker compose` on this network, to its standard output. */
  async compose(...args: string[]): Promise<string> {
    return await dockerOutput([
      "compose",
      "--file",
      COMPOSE,
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

  /** Has that many clients; those that run stay. */
  async scale(clients: number) {
    const scale = ["--scale", `psyche-test-client=${clients}`];
    await this.compose("up", "--detach", "--no-recreate", "--no-build", ...scale);
  }

  /** Name of the container of a client, from 1. */
  client(number: number): string {
    return `${this.#project}-psyche-test-client-${number}`;
  }

  /** What the client has reported so far, over all its lives. */
  async events(number: number): Promise<TimedEvent[]> {
    const stream = new Blob([await dockerOutput(["logs", this.client(number)])]).stream();
    return await Array.fromAsync(readEventLines(stream));
  }

  async state(): Promise<CoordinatorState> {
    return (await readRun(this.#reader!, "test")).state;
  }

  async inspect(number: number, format: string): Promise<string> {
    return await dockerOutput(["inspect", "--format", format, this.client(number)]);
  }

  /**
   * Waits for a condition, looked at once a second.
   *
   * @throws Error after `seconds`, with the last words of the clients
   */
  async until<T>(
    what: string,
    seconds: number,
    look: () => Promise<T | undefined | false | null>,
  ): Promise<T> {
    const end = performance.now() + 1000 * seconds;
    for (;;) {
      const found = await look();
      if (found) return found;
      if (performance.now() > end) {
        await docker(["compose", "--file", COMPOSE, "-p", this.#project, "logs", "--tail", "15"]);
        throw new Error(`${what} did not happen within ${seconds} s`);
      }
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}
