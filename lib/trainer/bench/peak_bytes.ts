import { readFileSync } from "node:fs";

/** Most memory that this process has held; what it holds now where the system does not tell. */
export function peakBytes(): number {
  try {
    const [, kilobytes] = readFileSync("/proc/self/status", "utf8").match(/VmHWM:\s+(\d+)/)!;
    return 1024 * Number(kilobytes);
  } catch {
    return Deno.memoryUsage().rss;
  }
}
