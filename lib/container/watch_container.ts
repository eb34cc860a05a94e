/** The first moments of a container that somebody else started, and that stays when it ends. */
import { setTimeout as delay } from "node:timers/promises";
import { type DockerOptions, dockerOutput, dockerProcess } from "./docker.ts";
import type { StartOptions, Startup } from "./start_container.ts";

const LAST_LINES = 10;
const STATE = "{{.State.Status}} {{.State.ExitCode}}{{with .State.Health}} {{.Status}}{{end}}";

/**
 * Watches a container until it is healthy, has ended, or the limit has passed.
 *
 * @throws PsycheError `DOCKER_MISSING`, `DOCKER_FAILED`; the reason of the signal
 */
export async function watchContainer(
  name: string,
  { limitMilliseconds, pollMilliseconds, ...options }: StartOptions,
): Promise<Startup> {
  const { signal } = options;
  const end = performance.now() + limitMilliseconds;
  for (;;) {
    const inspect = ["inspect", "--type=container", "--format", STATE, name];
    const [status, exitCode, health] = (await dockerOutput(inspect, options)).split(" ");
    if (status === "running" && health === "healthy") return { state: "healthy" };
    if (status === "exited" || status === "dead") {
      const lastLines = await lastWords(name, options);
      return { state: "ended", exitCode: Number(exitCode), lastLines };
    }
    if (performance.now() >= end) {
      return { state: "slow", lastLines: await lastWords(name, options) };
    }
    await delay(pollMilliseconds, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

/** Of both its streams. */
async function lastWords(name: string, options: DockerOptions): Promise<string[]> {
  const args = ["logs", "--tail", String(LAST_LINES), name];
  const { stdout, stderr } = await dockerProcess(args, options).output();
  const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  return text.split("\n").filter((line) => line !== "");
}
