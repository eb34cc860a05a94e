/** The Docker command line. Used by scripts and tests; the engine itself is never talked to directly. */
import { PsycheError } from "../error.ts";
import { statusWithTalk } from "./run_child.ts";

export interface DockerOptions {
  /** Default: the one on the path. */
  command?: string;
  /** Added to the environment of the docker command. */
  environment?: Record<string, string>;
  signal?: AbortSignal;
}

/**
 * Runs `docker` with this process's terminal.
 *
 * @param options.isResult its standard output is the command's result; otherwise it is talk, which goes
 *   to standard error
 * @throws PsycheError `DOCKER_MISSING`, `DOCKER_FAILED` (exits with docker's code); the signal's reason
 */
export async function docker(
  args: string[],
  { isResult = false, ...options }: DockerOptions & { isResult?: boolean } = {},
): Promise<void> {
  const stdio = { stdin: "inherit", stdout: isResult ? "inherit" : "piped", stderr: "inherit" };
  const child = spawn(args, options, stdio as Stdio);
  const { code } = await (isResult ? child.status : statusWithTalk(child));
  if (code !== 0) throw failed(args, options, code, "");
}

/** The same, to what it writes on standard output, trimmed. */
export async function dockerOutput(args: string[], options: DockerOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await spawn(args, options, PIPED).output();
  const decoder = new TextDecoder();
  if (code !== 0) throw failed(args, options, code, decoder.decode(stderr));
  return decoder.decode(stdout).trim();
}

/**
 * The same, as a process to follow while it runs.
 *
 * @throws PsycheError `DOCKER_MISSING`
 */
export function dockerProcess(args: string[], options: DockerOptions = {}): Deno.ChildProcess {
  return spawn(args, options, PIPED);
}

/**
 * Says no early and clearly.
 *
 * @throws PsycheError `DOCKER_MISSING`, `DOCKER_UNREACHABLE`
 */
export async function requireEngine(options: DockerOptions = {}): Promise<void> {
  try {
    await dockerOutput(["version", "--format", "{{.Server.Version}}"], options);
  } catch (error) {
    if (!(error instanceof PsycheError) || error.code !== "DOCKER_FAILED") throw error;
    throw new PsycheError(
      "DOCKER_UNREACHABLE",
      `No Docker engine answers (${error.message.split("\n")[0]}); start it, and see that this ` +
        `user may talk to it (group "docker").`,
      { cause: error },
    );
  }
}

/** How many NVIDIA GPUs this machine lists; 0 without their tools, or when `USE_GPU` is 0. */
export async function gpuCount(useGpu: string | undefined): Promise<number> {
  if (useGpu === "0") return 0;
  try {
    const { code, stdout } = await new Deno.Command("nvidia-smi", { args: ["--list-gpus"] })
      .output();
    if (code !== 0) return 0;
    return new TextDecoder().decode(stdout).split("\n").filter((line) => line.trim() !== "").length;
  } catch {
    return 0;
  }
}

type Stdio = Pick<Deno.CommandOptions, "stdin" | "stdout" | "stderr">;
const PIPED: Stdio = { stdin: "null", stdout: "piped", stderr: "piped" };

function spawn(args: string[], options: DockerOptions, stdio: Stdio) {
  options.signal?.throwIfAborted();
  try {
    return new Deno.Command(options.command ?? "docker", {
      args,
      env: options.environment,
      signal: options.signal,
      ...stdio,
    }).spawn();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new PsycheError(
      "DOCKER_MISSING",
      "There is no docker command on the path; install Docker (https://docs.docker.com/engine/install/).",
      { cause },
    );
  }
}

function failed(
  args: string[],
  { signal }: DockerOptions,
  code: number,
  said: string,
): PsycheError {
  // What the interruption ended has not failed.
  signal?.throwIfAborted();
  const detail = said.trim() === "" ? "see its words above" : said.trim();
  // Only the verb: later words may be long, or hold addresses with keys.
  return new PsycheError(
    "DOCKER_FAILED",
    `"docker ${args[0]}" ended with exit code ${code}: ${detail}`,
    { exitCode: code },
  );
}
