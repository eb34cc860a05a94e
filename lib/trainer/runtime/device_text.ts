/** Devices as they are written on a command line. */
import type { DeviceChoice } from "../trainer.ts";

/** Most ranks of one trainer. */
export const MAX_DATA_PARALLELISM = 64;

/**
 * Reads `auto`, `cpu`, `webgpu`, `cuda`, `cuda:N`, and lists of them: `cuda:0,cuda:1`, which may be
 * written `cuda:0,1` (docs/protocol/commands.md section 10.1).
 *
 * @throws Error whose message completes "--device: "
 */
export function parseDeviceList(text: string): DeviceChoice[] {
  let kind = "";
  const list = text.toLowerCase().split(",").map((part) => {
    const entry = part.trim();
    // A number alone belongs to the kind before it.
    const name = /^\d+$/.test(entry) && kind !== "" ? `${kind}:${entry}` : entry;
    kind = name.split(":")[0];
    if (/^(auto|cpu|webgpu|cuda(:\d{1,3})?)$/.test(name)) return name as DeviceChoice;
    throw new Error(
      `"${entry}" is not auto, cpu, cuda, cuda:N or webgpu` +
        (entry === "mps" ? " (on a Mac, webgpu computes with Metal)" : ""),
    );
  });
  if (list.length <= MAX_DATA_PARALLELISM) return list;
  throw new Error(`${list.length} devices are more than ${MAX_DATA_PARALLELISM}`);
}
