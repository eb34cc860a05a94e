import assert from "node:assert/strict";
import { PsycheError } from "../../error.ts";
import { chooseDevice } from "./device.ts";
import { loadOnnxRuntime } from "./onnx_runtime.ts";

const ort = await loadOnnxRuntime();

/** A runtime with no GPU, whatever this machine has. */
const withoutGpu = {
  ...ort,
  InferenceSession: {
    ...ort.InferenceSession,
    create: () => Promise.reject(new Error("no adapter\nin many lines")),
  },
} as unknown as typeof ort;

Deno.test("the CPU is taken as it is, and by default where nothing else works", async () => {
  assert.equal(await chooseDevice(withoutGpu, "cpu"), "cpu");
  assert.equal(await chooseDevice(withoutGpu, "auto"), "cpu");
});

Deno.test("a device asked for by name is used or refused with what it needs", async () => {
  for (const device of ["cuda", "webgpu"] as const) {
    await assert.rejects(chooseDevice(withoutGpu, device), (error) => {
      assert.ok(error instanceof PsycheError);
      assert.equal(error.code, "DEVICE_UNAVAILABLE");
      assert.match(error.message, new RegExp(`device ${device} .*GPU.*--device cpu`, "s"));
      assert.ok(!error.message.includes("in many lines"));
      return true;
    });
  }
});

/** A runtime whose sessions answer `values`. */
function answering(values: number[]): typeof ort {
  const metadata = (name: string) => ({ name, isTensor: true, type: "float32", shape: [2, 2] });
  return {
    ...ort,
    InferenceSession: {
      create: () =>
        Promise.resolve({
          inputMetadata: [metadata("a"), metadata("b")],
          outputMetadata: [metadata("y")],
          run: (_: unknown, outputs: { y: { data: Float32Array } }) => {
            outputs.y.data.set(values);
            return Promise.resolve(outputs);
          },
          release: () => Promise.resolve(),
        }),
    },
  } as unknown as typeof ort;
}

Deno.test("of the runtime's complaints its own sources are left out", async () => {
  const complaint = "/src/webgpu.cc:91 void Init(const Config&)::<lambda()> " +
    "adapter.status == Success was false. Failed to get a WebGPU adapter: No supported adapters";
  const failing = {
    ...ort,
    InferenceSession: { create: () => Promise.reject(new Error(complaint)) },
  } as unknown as typeof ort;
  await assert.rejects(chooseDevice(failing, "webgpu"), {
    message: /cannot be used \(Failed to get a WebGPU adapter: No supported adapters\)/,
  });
});

Deno.test("a device that computes wrongly is refused", async () => {
  assert.equal(await chooseDevice(answering([7, 10, 15, 22]), "webgpu"), "webgpu");
  await assert.rejects(chooseDevice(answering([7, 10, 15, 0]), "webgpu"), {
    code: "DEVICE_UNAVAILABLE",
  });
});
