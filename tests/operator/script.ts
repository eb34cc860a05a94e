/** Runs the operator's commands as their users do: as processes, with the flags of their tasks. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { commandLine } from "../../lib/cli/command_line.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface ScriptResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** A folder of its own, with the presets and the programs in their usual places. */
export async function makeWorkspace(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "psyche-operator-" });
  await Deno.mkdir(join(folder, "config", "solana-test"), { recursive: true });
  await Deno.mkdir(join(folder, "programs"));
  const copies = [
    "config/solana-test/nano-config.toml",
    "programs/authorizer.so",
    "programs/coordinator.so",
    "programs/treasurer.so",
    "programs/placeholder.so",
  ];
  for (const path of copies) await Deno.copyFile(join(ROOT, path), join(folder, path));
  return folder;
}

export function spawnScript(name: string, args: string[], folder: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: commandLine(name, args),
    cwd: folder,
    env: environment(folder),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

export async function runScript(
  name: string,
  args: string[],
  folder: string,
): Promise<ScriptResult> {
  const { code, stdout, stderr } = await spawnScript(name, args, folder).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Reads a stream to its end, so that its process never waits for a full pipe. */
export interface TextReader {
  /** All text so far, as soon as it holds `wanted`; rejects when the stream ends without. */
  until(wanted: string): Promise<string>;
}

export function readText(stream: ReadableStream<Uint8Array>): TextReader {
  let text = "";
  let ended = false;
  let news = Promise.withResolvers<void>();
  (async () => {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      text += part;
      news.resolve();
      news = Promise.withResolvers();
    }
    ended = true;
    news.resolve();
  })();
  return {
    async until(wanted) {
      while (!text.includes(wanted)) {
        if (ended) throw new Error(`ended without "${wanted}": ${text}`);
        await news.promise;
      }
      return text;
    },
  };
}

/** Command lines of the processes that work in this folder; on Linux only. */
export function processesOf(folder: string): string[] {
  if (Deno.build.os !== "linux") return [];
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    try {
      const line = Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ");
      return line.includes(folder) || Deno.readLinkSync(`/proc/${name}/cwd`) === folder
        ? [line]
        : [];
    } catch {
      return [];
    }
  });
}

/** Files of interrupted work below a folder. */
export async function leftovers(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (/tmp|lock|part/.test(name)) found.push(path);
    else if (isDirectory) found.push(...await leftovers(path));
  }
  return found;
}

/** The user's own settings must not reach the commands under test. */
function environment(folder: string): Record<string, string> {
  const kept = ["PATH", "DENO_DIR", "SystemRoot", "TEMP", "TMP", "TMPDIR"];
  const entries = kept.map((name) => [name, Deno.env.get(name)] as const);
  const cache = Deno.env.get("DENO_DIR") ?? defaultCache();
  return {
    ...Object.fromEntries(entries.filter((entry): entry is [string, string] => !!entry[1])),
    ...(cache ? { DENO_DIR: cache } : {}),
    HOME: folder,
  };
}

/** With another HOME the cache would be looked for in another place. */
function defaultCache(): string | undefined {
  const home = Deno.env.get("HOME");
  if (!home) return undefined;
  const base = Deno.env.get("XDG_CACHE_HOME") ??
    join(home, Deno.build.os === "darwin" ? "Library/Caches" : ".cache");
  return join(base, "deno");
}
