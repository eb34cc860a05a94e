/** Several clients on one machine, one container and one GPU each. */
import { availableParallelism } from "node:os";
import { PsycheError } from "../error.ts";
import { type ClientContainer, runArguments } from "./client_container.ts";
import { type ClientEnv, containerEnv } from "./client_env.ts";
import { dockerOutput, gpuCount } from "./docker.ts";
import { reportStartups, STARTUP_WATCH } from "./report_startups.ts";
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
  const start = async (container: ClientContainer & { name: string }) => {
    const { name, gpu } = container;
    await dockerOutput(["rm", "--force", name], { command, signal }).catch(ignoreMissing);
    say(`starting ${name} on ${gpu === undefined ? cpu : `GPU ${gpu}`}`);
    return await startContainer(name, runArguments(container), {
      command,
      environment: env,
      signal,
      limitMilliseconds: options.limitMilliseconds ?? STARTUP_WATCH.limitMilliseconds,
      pollMilliseconds: options.pollMilliseconds ?? STARTUP_WATCH.pollMilliseconds,
    });
  };
  await reportStartups(containers.map((it) => ({ name: it.name, startup: start(it) })), say);
  return members.map(({ name }) => name);
}

function ignoreMissing(error: unknown) {
  if (!(error instanceof PsycheError) || !/no such container/i.test(error.message)) throw error;
}
