/** The compose network for tests; docs/protocol/docker.md section 5. */
import { docker, gpuCount } from "./docker.ts";

export interface TestNetwork {
  /** Folder with the compose files. */
  directory?: string;
  signal?: AbortSignal;
}

const DIRECTORY = "docker/test";

/** Builds the images. @throws PsycheError `DOCKER_FAILED` */
export async function buildTestNetwork({ directory = DIRECTORY, signal }: TestNetwork) {
  await docker(compose(directory, false, "build"), { signal });
}

/** Starts validator, run owner and `clients` clients, anew, and returns when all of them run. */
export async function startTestNetwork(
  { directory = DIRECTORY, signal, clients, useGpu, say }: TestNetwork & {
    clients: number;
    useGpu: string | undefined;
    say: (line: string) => void;
  },
): Promise<void> {
  const gpus = await gpuCount(useGpu);
  say(
    gpus > 0
      ? `every client sees all GPUs: ${gpus}`
      : "no GPU is used: the clients train on the CPU",
  );
  await docker(compose(directory, gpus > 0, "up", "--detach", "--force-recreate"), {
    environment: { NUM_REPLICAS: String(clients) },
    signal,
  });
}

/** Ends and removes it all. The chain lives in memory, so the owner's key goes too. */
export async function stopTestNetwork({ directory = DIRECTORY, signal }: TestNetwork) {
  await docker(compose(directory, false, "down", "--volumes"), { signal });
}

function compose(directory: string, gpu: boolean, ...args: string[]): string[] {
  return [
    "compose",
    ...["--file", `${directory}/compose.yml`],
    ...(gpu ? ["--file", `${directory}/compose.gpu.yml`] : []),
    ...args,
  ];
}
