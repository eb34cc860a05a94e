/** Choosing the processor that runs the model's graphs. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { PsycheError } from "../../error.ts";
import { gemm } from "../graph/linear.ts";
import { compile } from "../graph/passes.ts";
import { Graph } from "../graph/tensor.ts";
import type { ComputeDevice, DeviceChoice } from "../trainer.ts";
import type { OnnxRuntime } from "./onnx_runtime.ts";
import { Session } from "./session.ts";

/** What has to be installed for a device, for the message when it is missing. */
const NEEDS: Record<string, string> = {
  cpu: "the onnxruntime-node package of this platform",
  cuda: "an NVIDIA GPU with CUDA 12 and cuDNN 9, and the CUDA provider that onnxruntime-node's " +
    "install script fetches",
  webgpu: "a GPU with a Vulkan, Metal or Direct3D 12 driver",
};

/**
 * The device to use. `auto` takes CUDA where its provider is installed and works, else the CPU; WebGPU
 * only when named, because a software driver would pass for a GPU and be slower than the CPU.
 *
 * A device counts as working when it computes a small product correctly.
 *
 * @param hasCuda whether the CUDA provider is there
 * @throws PsycheError `DEVICE_UNAVAILABLE` when a device asked for by name does not work
 */
export async function chooseDevice(
  ort: OnnxRuntime,
  choice: DeviceChoice,
  hasCuda: () => boolean = isCudaInstalled,
): Promise<ComputeDevice> {
  if (choice === "cpu") return choice;
  if (choice === "auto") {
    return hasCuda() && await problemOf(ort, "cuda") === null ? "cuda" : "cpu";
  }
  // A provider that is not there would make the native library write to stderr by itself.
  const [kind] = choice.split(":");
  const problem = kind === "cuda" && !hasCuda()
    ? "the provider library is not installed"
    : await problemOf(ort, choice);
  if (problem === null) return choice;
  throw new PsycheError(
    "DEVICE_UNAVAILABLE",
    `The device ${choice} cannot be used (${problem}); it needs ${NEEDS[kind]}. ` +
      "Use --device cpu otherwise.",
  );
}

/** Null when the device computes [[1, 2], [3, 4]] squared, else what went wrong. */
async function problemOf(ort: OnnxRuntime, device: ComputeDevice): Promise<string | null> {
  const graph = new Graph();
  const model = compile(graph, {
    y: gemm(graph.input("a", [2, 2]), graph.input("b", [2, 2])),
  });
  const square = Float32Array.of(1, 2, 3, 4);
  const y = new Float32Array(4);
  try {
    const session = await Session.create(ort, model, { threads: 1, device });
    try {
      await session.run(new Map([["a", square], ["b", square]]), new Map([["y", y]]));
    } finally {
      await session.release();
    }
  } catch (error) {
    return firstLine((error as Error).cause ?? error);
  }
  return y.join() === "7,10,15,22" ? null : `it computes ${y} for 7,10,15,22`;
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  // Before that the runtime names a place in its sources.
  return text.split("\n")[0].replace(/^.* was false\. /, "").slice(-160);
}

/** Whether the CUDA provider lies beside the runtime's library, where its install script puts it. */
function isCudaInstalled(): boolean {
  const main = createRequire(import.meta.url).resolve("onnxruntime-node");
  const [root] = main.split(/[/\\]dist[/\\]/);
  const name = process.platform === "win32"
    ? "onnxruntime_providers_cuda.dll"
    : "libonnxruntime_providers_cuda.so";
  return existsSync(join(root, "bin", "napi-v6", process.platform, process.arch, name));
}
