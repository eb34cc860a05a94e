/** Building an image, after the programs that its clients will talk to were looked at. */
import { PsycheError } from "../error.ts";
import { docker } from "./docker.ts";
import { runChild } from "./run_child.ts";

export type ClientImage = "psyche-client" | "psyche-test-client";

/**
 * The safety question of docs/protocol/commands.md section 4.3.
 *
 * @param check the command `coordinator-address-check` with its flags, for the runtime
 * @throws PsycheError `ADDRESSES_NOT_CONFIRMED` after any answer but yes
 */
export async function confirmAddresses(
  check: { args: string[]; env: Record<string, string> },
  signal: AbortSignal,
): Promise<void> {
  const { args, env } = check;
  const code = await runChild(Deno.execPath(), args, signal, { env, isTalk: true });
  if (code === 0) return;
  signal.throwIfAborted();
  throw new PsycheError(
    "ADDRESSES_NOT_CONFIRMED",
    "The program addresses were not confirmed (see above), so nothing was built or started.",
    { exitCode: code },
  );
}

/**
 * @param options.accelerator `cuda` needs a base image with the CUDA libraries: environment BASE_IMAGE
 * @throws PsycheError `DOCKER_FAILED`
 */
export async function buildImage(
  image: ClientImage,
  options: { accelerator: "cpu" | "cuda"; baseImage?: string; signal: AbortSignal },
): Promise<void> {
  const { accelerator, baseImage, signal } = options;
  await docker([
    "build",
    ...["--file", "docker/Dockerfile", "--target", image, "--tag", image],
    ...["--build-arg", `ACCELERATOR=${accelerator}`],
    ...(baseImage ? ["--build-arg", `BASE_IMAGE=${baseImage}`] : []),
    ".",
  ], { signal });
}
