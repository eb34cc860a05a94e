import { PsycheError } from "../error.ts";
import { docker, type DockerOptions, dockerOutput } from "./docker.ts";

/**
 * Pulls an image that this machine does not have. `docker run` would do so too, but not every version
 * of it lets itself be interrupted meanwhile.
 *
 * @throws PsycheError `DOCKER_MISSING`, `DOCKER_FAILED`; the signal's reason
 */
export async function pullMissing(image: string, options: DockerOptions = {}): Promise<void> {
  try {
    await dockerOutput(["image", "inspect", "--format", "{{.Id}}", image], options);
  } catch (error) {
    if (!(error instanceof PsycheError) || error.code !== "DOCKER_FAILED") throw error;
    await docker(["pull", image], options);
  }
}
