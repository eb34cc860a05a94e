/** Several clients on one machine, one container and one GPU each. */
import { PsycheError } from "../error.ts";
import { type ClientContainer, runArguments } from "./client_container.ts";
import { docker, dockerOutput } from "./docker.ts";

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

/**
 * Starts the containers; one of the same name, running or not, is removed first.
 *
 * @throws PsycheError `DOCKER_FAILED`; containers started before stay
 */
export async function startFleet(
  containers: (ClientContainer & { name: string })[],
  options: { signal?: AbortSignal; onStart?: (name: string) => void },
): Promise<void> {
  for (const container of containers) {
    const { name, env } = container;
    await dockerOutput(["rm", "--force", name], options).catch(ignoreMissing);
    await docker(runArguments(container), { environment: env, signal: options.signal });
    options.onStart?.(name);
  }
}

function ignoreMissing(error: unknown) {
  if (!(error instanceof PsycheError) || !/no such container/i.test(error.message)) throw error;
}
