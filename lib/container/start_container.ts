/** A container's first moments: does it come to life, and what did it say if not? */
import { setTimeout as delay } from "node:timers/promises";
import { PsycheError } from "../error.ts";
import { type DockerOptions, dockerOutput, dockerProcess } from "./docker.ts";

export type Startup =
  /** Its health check says that it works. */
  | { state: "healthy" }
  /** It runs, but has not become healthy in time. */
  | { state: "slow"; lastLines: string[] }
  /** It has ended, or docker could not start it. */
  | { state: "ended"; exitCode: number; lastLines: string[] };

export interface StartOptions extends DockerOptions {
  /** From the moment that the container is there; an image that has to be pulled takes its time. */
  limitMilliseconds: number;
  pollMilliseconds: number;
}

const LAST_LINES = 10;
/** Of what it says. */
const KEPT_CHARACTERS = 8_000;
const HEALTH = "{{.State.Status}}{{with .State.Health}} {{.Status}}{{end}}";

/**
 * Starts a container and watches it until it is healthy, ends, or the limit has passed. This looks at
 * it from an attached docker command: one that is removed when it ends would take its words along.
 *
 * @param args of a `docker run` that neither detaches nor passes signals on
 * @throws PsycheError `DOCKER_MISSING`; the reason of `signal`, and then a container that runs stays
 */
export async function startContainer(
  name: string,
  args: string[],
  { limitMilliseconds, pollMilliseconds, ...options }: StartOptions,
): Promise<Startup> {
  const { signal, ...unsignalled } = options;
  signal?.throwIfAborted();
  const child = dockerProcess(args, unsignalled);
  let said = "";
  const listen = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      said = (said + text).slice(-KEPT_CHARACTERS);
    }
  };
  const lastLines = () => said.split("\n").filter((line) => line !== "").slice(-LAST_LINES);
  const end = Promise.all([child.status, listen(child.stdout), listen(child.stderr)]);
  let hasEnded = false;
  end.then(() => hasEnded = true, () => hasEnded = true);
  try {
    for (let since: number | null = null; !hasEnded;) {
      const state = await dockerOutput(
        ["inspect", "--type=container", "--format", HEALTH, name],
        options,
      )
        .catch(unlessMissing);
      if (state === "running healthy") return { state: "healthy" };
      if (state !== null) since ??= performance.now();
      if (since !== null && performance.now() - since >= limitMilliseconds) {
        return { state: "slow", lastLines: lastLines() };
      }
      await delay(pollMilliseconds, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
    const [{ code }] = await end;
    return { state: "ended", exitCode: code, lastLines: lastLines() };
  } finally {
    // Nothing that docker could still pass on: the container goes on.
    if (!hasEnded) child.kill("SIGKILL");
    await end;
  }
}

/** Not made yet, or removed already. */
function unlessMissing(error: unknown): null {
  if (error instanceof PsycheError && error.code === "DOCKER_FAILED") return null;
  throw error;
}
