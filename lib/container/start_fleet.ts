/** Several clients on one machine, one container and one GPU each. */
import { availableParallelism } from "node:os";
import { PsycheError } from "../error.ts";
import { type ClientContainer, runArguments } from "./client_container.ts";
import { type ClientEnv, containerEnv } from "./client_env.ts";
import { dockerOutput, gpuCount } from "./docker.ts";
import { startContainer } from "./start_container.ts";

/** @throws PsycheError `GPUS_TOO_FEW` when there are GPUs, but not one for each client */
export function gpuOf(index: number, count: number, gpus: number): number | undefined {
  if (gpus === 0) return undefined;
  if (count <= gpus) return index;
  throw new PsycheError(
    "GPUS_TOO_FEW",
    `${count} clients need ${count} GPUs and this machine has ${gpus}; start fewer, or set USE_GPU=0 ` +
      `to train on the CPU.`,
  );
}

/** Threads of each of `count` clients that share the processors. */
export function threadsEach(count: number, cores: number): number {
  return Math.max(1, Math.floor(cores / count));
}

/** What the clients of a fleet do not have in common. */
export type FleetMember = Omit<ClientContainer, "env" | "gpu" | "detached"> & { name: string };

export interface FleetOptions {
  /** Settings of all clients; what is about this machine stays here. */
  env: ClientEnv;
  /** `USE_GPU` of this process, which beats that of `env`. */
  useGpu?: string;
  say: (line: string) => void;
  signal?: AbortSignal;
  /** Default: the docker command on the path. */
  docker?: string;
  /** How long clients are watched, and how often they are looked at. */
  limitMilliseconds?: number;
  pollMilliseconds?: number;
}

/** A client that fails at once is started again five times, with pauses: then it has ended by now. */
const LIMIT_MILLISECONDS = 60_000;
const POLL_MILLISECONDS = 500;

/**
 * Starts containers that go on by themselves; one of the same name, running or not, is removed first.
 * Returns when each of them is healthy, or has had its time to become so.
 *
 * @returns their names
 * @throws PsycheError `GPUS_TOO_FEW`, `DOCKER_FAILED`, `CLIENTS_ENDED` with the last words of those that
 *   did; the others stay
 */
export async function startFleet(members: FleetMember[], options: FleetOptions): Promise<string[]> {
  const { signal, say, docker: command } = options;
  const useGpu = options.useGpu ?? options.env.USE_GPU;
  const gpus = await gpuCount(useGpu);
  const cpu = `the CPU, because ${useGpu === "0" ? "USE_GPU is 0" : "no GPU was found"}`;
  const threads = String(threadsEach(members.length, availableParallelism()));
  const env = { THREADS: threads, ...containerEnv(options.env) };
  const containers = members.map((member, i) => {
    const gpu = gpuOf(i, members.length, gpus);
    return { ...member, env, gpu, detached: true };
  });
  const startups = containers.map(async (container) => {
    const { name, gpu } = container;
    await dockerOutput(["rm", "--force", name], { command, signal }).catch(ignoreMissing);
    say(`starting ${name} on ${gpu === undefined ? cpu : `GPU ${gpu}`}`);
    const startup = await startContainer(name, runArguments(container), {
      command,
      environment: env,
      signal,
      limitMilliseconds: options.limitMilliseconds ?? LIMIT_MILLISECONDS,
      pollMilliseconds: options.pollMilliseconds ?? POLL_MILLISECONDS,
    });
    if (startup.state === "ended") {
      return `${name} ended with exit code ${startup.exitCode}${lastWords(startup.lastLines)}`;
    }
    say(
      startup.state === "healthy"
        ? `${name} started`
        : `${name} runs, but accepts no peers yet${lastWords(startup.lastLines)}`,
    );
  });
  // Each of them ends its docker command, also when another one fails.
  await Promise.allSettled(startups);
  const problems = (await Promise.all(startups)).filter((problem) => problem !== undefined);
  if (problems.length === 0) return members.map(({ name }) => name);
  throw new PsycheError(
    "CLIENTS_ENDED",
    `${problems.length} of ${members.length} clients ended when they had just been started; mend ` +
      `what they say and start them again:\n${problems.join("\n")}`,
  );
}

function lastWords(lines: string[]): string {
  if (lines.length === 0) return " without a word";
  return `; its last words:${lines.map((line) => `\n  ${line}`).join("")}`;
}

function ignoreMissing(error: unknown) {
  if (!(error instanceof PsycheError) || !/no such container/i.test(error.message)) throw error;
}
