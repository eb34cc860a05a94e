/** The compose network for tests; docs/protocol/docker.md section 5. */
import { docker, dockerOutput, gpuCount } from "./docker.ts";
import { reportStartups, STARTUP_WATCH } from "./report_startups.ts";
import { watchContainer } from "./watch_container.ts";

export interface TestNetwork {
  /** Folder with the compose files. */
  directory?: string;
  signal?: AbortSignal;
  /** Default: the docker command on the path. */
  command?: string;
}

const DIRECTORY = "docker/test";
const CLIENT = "psyche-test-client";

/** Builds the images. @throws PsycheError `DOCKER_FAILED` */
export async function buildTestNetwork({ directory = DIRECTORY, signal }: TestNetwork) {
  await docker(compose(directory, false, "build"), { signal });
}

/**
 * Starts validator, run owner and `clients` clients, anew, and returns when all clients are healthy, or
 * have had their time to become so.
 *
 * @throws PsycheError `DOCKER_FAILED`, `CLIENTS_ENDED` with the last words of those that did; the rest
 *   of the network stays
 */
export async function startTestNetwork(
  { directory = DIRECTORY, signal, command, clients, useGpu, say }: TestNetwork & {
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
    command,
  });
  const options = { signal, command };
  const list = ["ps", "--all", "--quiet", CLIENT];
  const ids = (await dockerOutput(compose(directory, gpus > 0, ...list), options)).split("\n");
  const names = await dockerOutput(["inspect", "--format", "{{.Name}}", ...ids], options);
  const startups = names.split("\n").map((path) => {
    const name = path.replace("/", "");
    return { name, startup: watchContainer(name, { ...options, ...STARTUP_WATCH }) };
  });
  await reportStartups(startups, say);
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
