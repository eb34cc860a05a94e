/**
 * Who holds a TCP port.
 *
 * Linux tells in /proc, which Deno opens only to a program with all permissions; otherwise `lsof`
 * or `ss` are asked, if this program may run them and they are there.
 */

/** For example `process 4711 (solana-test-val)`; undefined when it cannot be found out. */
export async function portOwner(port: number): Promise<string | undefined> {
  const owner = await ownerByProc(port) ??
    await ask("lsof", ["-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpc"], /^p(\d+)\nc(.+)$/m) ??
    await ask("ss", ["-ltnpH", `sport = :${port}`], /\(\("([^"]+)",pid=(\d+)/);
  return owner && `process ${owner.pid} (${owner.name})`;
}

interface Owner {
  pid: string;
  name: string;
}

/** Runs a tool without ever asking for permission; `pattern` captures pid and name, in any order. */
async function ask(tool: string, args: string[], pattern: RegExp): Promise<Owner | undefined> {
  try {
    const permission = await Deno.permissions.query({ name: "run", command: tool });
    if (permission.state !== "granted") return undefined;
    const { stdout } = await new Deno.Command(tool, { args, stderr: "null" }).output();
    const [, first, second] = new TextDecoder().decode(stdout).match(pattern) ?? [];
    if (!first) return undefined;
    return /^\d+$/.test(first) ? { pid: first, name: second } : { pid: second, name: first };
  } catch {
    return undefined; // not installed
  }
}

async function ownerByProc(port: number): Promise<Owner | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  try {
    const inodes = new Set<string>();
    for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
      const lines = (await Deno.readTextFile(table).catch(() => "")).split("\n").slice(1);
      for (const line of lines) {
        const fields = line.trim().split(/\s+/);
        const listening = fields[3] === "0A";
        if (listening && parseInt(fields[1]?.split(":")[1], 16) === port) inodes.add(fields[9]);
      }
    }
    if (inodes.size === 0) return undefined;
    for await (const { name: pid } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(pid) || !await holds(pid, inodes)) continue;
      return { pid, name: (await Deno.readTextFile(`/proc/${pid}/comm`)).trim() };
    }
  } catch {
    // Gone meanwhile.
  }
  return undefined;
}

async function holds(pid: string, inodes: Set<string>): Promise<boolean> {
  try {
    for await (const fd of Deno.readDir(`/proc/${pid}/fd`)) {
      const target = await Deno.readLink(`/proc/${pid}/fd/${fd.name}`).catch(() => "");
      const inode = target.match(/^socket:\[(\d+)\]$/)?.[1];
      if (inode && inodes.has(inode)) return true;
    }
  } catch {
    // Another user's process.
  }
  return false;
}
