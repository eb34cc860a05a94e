/** A limit after which a child that was asked to end is killed; a client's checkpoint has to fit in. */
const STOP_MILLISECONDS = 30_000;

/**
 * Runs a program with the terminal of this one, to its exit code. An abort is passed on as SIGTERM.
 */
export async function runChild(
  command: string,
  args: string[],
  signal: AbortSignal,
): Promise<number> {
  const child = new Deno.Command(command, {
    args,
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
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
  const { code } = await child.status;
  signal.removeEventListener("abort", stop);
  clearTimeout(timer);
  return code;
}
