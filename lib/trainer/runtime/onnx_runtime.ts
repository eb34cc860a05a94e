/** Loading the ONNX runtime's native binding. */
export type OnnxRuntime = typeof import("onnxruntime-node");

/**
 * Loads the runtime. Its library may report usage from some builds: this must be switched off in
 * the process environment before the library is loaded, hence the late import.
 */
export async function loadOnnxRuntime(): Promise<OnnxRuntime> {
  Deno.env.set("ORT_DISABLE_TELEMETRY", "1");
  return await import("onnxruntime-node");
}
