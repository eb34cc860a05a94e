/** A localnet in a process of its own, which ends with its parent. */
import { fileURLToPath } from "node:url";
import { PsycheError } from "../error.ts";
import { portOwner } from "./port_owner.ts";

export interface SpawnLocalnetOptions {
  bindAddress?: string;
  /** Default 0: any free pair. */
  rpcPort?: number;
  wsPort?: number;
  clockRate?: number;
  slotMs?: number;
  bpfPrograms?: { id: string; path: string }[];
  upgradeablePrograms?: { id: string; path: string; authority: string }[];
  /** Programs that are in place but fail until they are upgraded; they need `placeholder`. */
  reservedPrograms?: { id: string; authority: string }[];
  /** Path of the program that stands in for reserved ones. */
  placeholder?: string;
  accounts?: { address: string; path: string }[];
  /** Folders served at `<rpcUrl>/<name>/`. */
  serve?: { name: string; folder: string }[];
}

export interface SpawnedLocalnet {
  rpcUrl: string;
  wsUrl: string;
  pid: number;
  genesisHash: string;
  /** How it ended; resolves when it has. */
  ended: Promise<{ code: number; signal: string | null }>;
  /** Ends it and waits for that. May be called more than once. */
  stop(): Promise<void>;
}

/** A start that has not answered by then has failed. */
const START_LIMIT_MS = 60_000;
/** A child that does not end by itself within this is killed. */
const STOP_LIMIT_MS = 3_000;

/**
 * Starts `scripts/localnet.ts` as a child and resolves when it answers RPC.
 *
 * The child watches its standard input: it also ends when this process dies without calling `stop`.
 *
 * @throws PsycheError `PORT_TAKEN`, `LOCALNET_START_FAILED` with the child's own words
 */
export async function spawnLocalnet(
  options: SpawnLocalnetOptions = {},
  { signal }: { signal?: AbortSignal } = {},
): Promise<SpawnedLocalnet> {
  signal?.throwIfAborted();
  const child = new Deno.Command(Deno.execPath(), {
    args: localnetArguments(options),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = lastText(child.stderr);
  const ended = child.status.then(({ code, signal }) => ({ code, signal }));
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => stopping ??= stopChild(child);
  const onAbort = (): void => void stop();
  signal?.addEventListener("abort", onAbort, { once: true });
  ended.then(() => signal?.removeEventListener("abort", onAbort));

  const timer = setTimeout(onAbort, START_LIMIT_MS);
  const line = await firstLine(child.stdout).finally(() => clearTimeout(timer));
  try {
    const ready = JSON.parse(line) as { rpcUrl: string; wsUrl: string; genesisHash: string };
    return { ...ready, pid: child.pid, ended, stop };
  } catch (cause) {
    await stop();
    signal?.throwIfAborted();
    const words = (await errors).trim() || `it ended with code ${(await ended).code}`;
    throw await startFailure(words, cause);
  }
}

/** The child may not look into other processes to see who holds a port; this one perhaps may. */
async function startFailure(words: string, cause: unknown): Promise<PsycheError> {
  const [taken, port] = words.match(/^Port (\d+) is taken(?=;)/) ?? [];
  if (!taken) {
    return new PsycheError("LOCALNET_START_FAILED", `The localnet did not start: ${words}`, {
      cause,
    });
  }
  const owner = await portOwner(Number(port));
  const message = owner ? words.replace(taken, `${taken} by ${owner}`) : words;
  return new PsycheError("PORT_TAKEN", message, { cause });
}

function localnetArguments(options: SpawnLocalnetOptions): string[] {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const host = options.bindAddress ?? "127.0.0.1";
  const files = [
    ...(options.bpfPrograms ?? []).map((it) => it.path),
    ...(options.upgradeablePrograms ?? []).map((it) => it.path),
    ...(options.accounts ?? []).map((it) => it.path),
    ...(options.serve ?? []).map((it) => it.folder),
    ...(options.placeholder ? [options.placeholder] : []),
  ];
  const flag = (name: string, value: unknown): string[] =>
    value === undefined ? [] : [`--${name}`, String(value)];
  return [
    "run",
    "--quiet",
    "--no-prompt",
    `--allow-net=${host.includes(":") ? `[${host}]` : host}`,
    allowPaths("ffi", [`${root}node_modules`]),
    // ldd: the addon's loader looks there for the kind of C library.
    allowPaths("read", [root, "/usr/bin/ldd", ...files]),
    "--allow-env=NAPI_RS_WASI_FLAVOR,NAPI_RS_FORCE_WASI,NAPI_RS_NATIVE_LIBRARY_PATH,NO_COLOR,FORCE_COLOR",
    `${root}scripts/localnet.ts`,
    "--json",
    "--with-parent",
    ...flag("bind-address", options.bindAddress),
    ...flag("rpc-port", options.rpcPort ?? 0),
    ...flag("ws-port", options.wsPort),
    ...flag("clock-rate", options.clockRate),
    ...flag("slot-ms", options.slotMs),
    ...flag("placeholder", options.placeholder),
    ...(options.bpfPrograms ?? []).flatMap((it) => ["--bpf-program", it.id, it.path]),
    ...(options.upgradeablePrograms ?? []).flatMap((it) => [
      ...["--upgradeable-program", it.id, it.path, it.authority],
    ]),
    ...(options.reservedPrograms ?? []).flatMap((it) => [
      ...["--reserve-program", it.id, it.authority],
    ]),
    ...(options.accounts ?? []).flatMap((it) => ["--account", it.address, it.path]),
    ...(options.serve ?? []).flatMap((it) => ["--serve", `${it.name}=${it.folder}`]),
  ];
}

/** A permission for these paths. A list cannot hold a path with a comma: then it is for all paths. */
function allowPaths(name: string, paths: string[]): string {
  return paths.some((path) => path.includes(",")) ? `--allow-${name}` : `--allow-${name}=${paths}`;
}

async function stopChild(child: Deno.ChildProcess): Promise<void> {
  // Closing its input asks it to end, on every system; the kill is for one that hangs.
  await child.stdin.close().catch(() => {});
  const timer = setTimeout(() => {
    try {
      child.kill("SIGKILL");
    } catch {
      // Gone already.
    }
  }, STOP_LIMIT_MS);
  await child.status;
  clearTimeout(timer);
}

/** The first line of a stream; the rest is read and dropped, so that the child never blocks. */
function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  return new Promise((resolve) => {
    (async () => {
      let text = "";
      let found = false;
      const decoder = new TextDecoder();
      for await (const chunk of stream) {
        if (found) continue;
        text += decoder.decode(chunk, { stream: true });
        const end = text.indexOf("\n");
        if (end < 0) continue;
        found = true;
        resolve(text.slice(0, end));
      }
      if (!found) resolve(text);
    })();
  });
}

/** The end of a stream's text, at most 4,000 characters. */
async function lastText(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text = (text + decoder.decode(chunk, { stream: true })).slice(-4000);
  }
  return text;
}
