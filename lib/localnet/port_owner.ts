/** Who holds a TCP port, as far as Linux tells. */

/** For example `process 4711 (solana-test-val)`; undefined when it cannot be found out. */
export async function portOwner(port: number): Promise<string | undefined> {
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
    for await (const entry of Deno.readDir("/proc")) {
      if (/^\d+$/.test(entry.name) && await holds(entry.name, inodes)) {
        const name = await Deno.readTextFile(`/proc/${entry.name}/comm`);
        return `process ${entry.name} (${name.trim()})`;
      }
    }
  } catch {
    // Not permitted or gone meanwhile: the message does without.
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
