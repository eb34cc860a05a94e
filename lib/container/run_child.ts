import { PsycheError } from "../error.ts";

/** A limit after which a child that was asked to end is killed; a client's checkpoint has to fit in. */
const STOP_MILLISECONDS = 30_000;

/** The status of a child, whose piped standard output goes to the standard error of this process. */
export async function statusWithTalk(child: Deno.ChildProcess): Promise<Deno.CommandStatus> {
  const talk = child.stdout.pipeTo(Deno.stderr.writable, { preventClose: true }).catch(() => {});
  const status = await child.status;
  await talk;
  return status;
}

/**
 * Runs a program with the terminal of this one, to its exit code. An abort is passed on as SIGTERM.
 *
 * @param options.env added to the environment
 * @param options.isTalk its standard output is no result, and goes to standard error
 * @throws PsycheError `PROGRAM_NOT_STARTED`, with the exit code that shells have for it
 */
export async function runChild(
  command: string,
  args: string[],
  signal: AbortSignal,
  { env, isTalk = false }: { env?: Record<string, string>; isTalk?: boolean } = {},
): Promise<number> {
  const child = spawn(command, {
    args,
    env,
    stdin: "inherit",
    stdout: isTalk ? "piped" : "inherit",
    stderr: "inherit",
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const send = (name: Deno.Signal) => {
    try {
      child.kill(name);
    } catch {
      // Gone already.
    }
  };
  const stop = () => {
    send("SIGTERM");
    timer = setTimeout(() => send("SIGKILL"), STOP_MILLISECONDS);
  };
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  const { code } = await (isTalk ? statusWithTalk(child) : child.status);
  signal.removeEventListener("abort", stop);
  clearTimeout(timer);
  return code;
}

function spawn(command: string, options: Deno.CommandOptions): Deno.ChildProcess {
  try {
    return new Deno.Command(command, options).spawn();
  } catch (cause) {
    const isMissing = cause instanceof Deno.errors.NotFound;
    if (!isMissing && !(cause instanceof Deno.errors.PermissionDenied)) throw cause;
    throw new PsycheError(
      "PROGRAM_NOT_STARTED",
      `"${command}" cannot be run (${isMissing ? "no such program" : "no permission"}); ` +
        `check its name and the PATH.`,
      { cause, exitCode: isMissing ? 127 : 126 },
    );
  }
}
