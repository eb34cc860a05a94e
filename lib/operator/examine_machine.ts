/** What a machine has for clients: memory, Docker, GPUs. */
import { availableParallelism, totalmem } from "node:os";
import type { Finding } from "./examine.ts";

/** Runs programs; their absence is a finding, not an error. */
export async function examineMachine(signal?: AbortSignal): Promise<Finding[]> {
  const gib = totalmem() / 2 ** 30;
  const cores = availableParallelism();
  const docker = await firstLine("docker", ["info", "--format", "{{.ServerVersion}}"], signal);
  const gpus = await firstLine("nvidia-smi", ["--query-gpu=name", "--format=csv,noheader"], signal);
  return [
    {
      what: "machine",
      verdict: gib < 4 ? "warning" : "good",
      detail: `${cores} cores, ${gib.toFixed(1)} GiB of memory`,
    },
    docker === null
      ? {
        what: "Docker",
        verdict: "warning",
        detail: "not reachable; clients run without it, only the container commands need it",
      }
      : { what: "Docker", verdict: "good", detail: `version ${docker}` },
    {
      what: "GPU",
      verdict: "good",
      detail: gpus ?? "none found; clients train on the CPU",
    },
  ];
}

async function firstLine(
  program: string,
  args: string[],
  signal?: AbortSignal,
): Promise<string | null> {
  try {
    const { success, stdout } = await new Deno.Command(program, { args, signal }).output();
    const [line] = new TextDecoder().decode(stdout).trim().split("\n");
    return success && line !== "" ? line : null;
  } catch {
    signal?.throwIfAborted();
    return null;
  }
}
