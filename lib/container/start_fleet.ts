/** Several clients on one machine, one container and one GPU each. */
import { availableParallelism } from "node:os";
import { PsycheError } from "../error.ts";
import { type ClientContainer, runArguments } from "./client_container.ts";
import { type ClientEnv, containerEnv } from "./client_env.ts";
import { dockerOutput, gpuCount } from "./docker.ts";

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
}

/**
 * Starts detached containers; one of the same name, running or not, is removed first.
 *
 * @returns their names
 * @throws PsycheError `GPUS_TOO_FEW`, `DOCKER_FAILED`; containers started before stay
 */
export async function startFleet(members: FleetMember[], options: FleetOptions): Promise<string[]> {
  const { signal, say } = options;
  const count = members.length;
  const gpus = await gpuCount(options.useGpu ?? options.env.USE_GPU);
  const threads = String(threadsEach(count, availableParallelism()));
  const env = { THREADS: threads, ...containerEnv(options.env) };
  const where = gpus > 0 ? "on a GPU of its own" : "on the CPU, because no GPU was found";
  for (const [i, member] of members.entries()) {
    const { name } = member;
    const container = { ...member, env, gpu: gpuOf(i, count, gpus), detached: true };
    await dockerOutput(["rm", "--force", name], { signal }).catch(ignoreMissing);
    // Standard output belongs to the result; this prints the container's id.
    await dockerOutput(runArguments(container), { environment: env, signal });
    say(`${name} started ${where}`);
  }
  return members.map(({ name }) => name);
}

/** What a user wants to know after it. */
export function startedLine(containers: string[], runId: string): string {
  return `${containers.length} clients started for run ${runId}; ` +
    `follow one with: docker logs -f ${containers[0]}`;
}

function ignoreMissing(error: unknown) {
  if (!(error instanceof PsycheError) || !/no such container/i.test(error.message)) throw error;
}
