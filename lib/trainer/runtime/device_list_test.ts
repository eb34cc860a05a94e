import assert from "node:assert/strict";
import { checkDevices } from "./check_devices.ts";
import { chooseDevices, countRanks } from "./device_list.ts";
import { parseDeviceList } from "./device_text.ts";
import { loadOnnxRuntime } from "./onnx_runtime.ts";

const ort = await loadOnnxRuntime();

Deno.test("device lists are read in both ways of writing", () => {
  assert.deepEqual(parseDeviceList("auto"), ["auto"]);
  assert.deepEqual(parseDeviceList("CPU"), ["cpu"]);
  assert.deepEqual(parseDeviceList("cuda:0,cuda:1"), ["cuda:0", "cuda:1"]);
  assert.deepEqual(parseDeviceList("cuda:2, 3,cpu"), ["cuda:2", "cuda:3", "cpu"]);
  for (const text of ["", "gpu", "cpu:1,", "cuda:", "cuda:-1", "3", "cuda:0,,1", "auto:1"]) {
    assert.throws(() => parseDeviceList(text), /is not auto, cpu, cuda, cuda:N or webgpu/, text);
  }
  assert.throws(() => parseDeviceList("mps"), /webgpu computes with Metal/);
  assert.throws(() => parseDeviceList("cpu,".repeat(64) + "cpu"), /65 devices are more than 64/);
});

Deno.test("there are as many ranks as devices, unless more are asked for", () => {
  assert.equal(countRanks(["cpu"]), 1);
  assert.equal(countRanks(["cuda:0", "cuda:1"]), 2);
  assert.equal(countRanks(["cpu"], 4), 4);
  assert.throws(() => countRanks(["cpu", "cpu"], 1), { code: "TRAINER_OPTION_INVALID" });
});

Deno.test("ranks take the listed devices in turn, and fail where one is missing", async () => {
  assert.deepEqual(await chooseDevices(ort, ["cpu"], 3), ["cpu", "cpu", "cpu"]);
  await assert.rejects(chooseDevices(ort, ["cpu", "cuda:77"], 2), {
    code: "DEVICE_UNAVAILABLE",
    message: /device cuda:77 .*NVIDIA/,
  });
});

Deno.test("what a trainer would refuse is refused beforehand", async () => {
  await checkDevices({});
  await checkDevices({ device: ["cpu", "auto"], dataParallelism: 5 });
  const refused = { code: "TRAINER_OPTION_INVALID" };
  await assert.rejects(checkDevices({ device: ["cpu", "cpu"], dataParallelism: 1 }), refused);
  await assert.rejects(checkDevices({ device: ["cpu", "cuda:77"] }), {
    code: "DEVICE_UNAVAILABLE",
  });
});

Deno.test("a single cuda gives each rank a card of its own", async () => {
  const asked: unknown[] = [];
  const metadata = (name: string) => ({ name, isTensor: true, type: "float32", shape: [2, 2] });
  const cards = {
    ...ort,
    InferenceSession: {
      create: (_model: unknown, { executionProviders }: { executionProviders: unknown[] }) => {
        asked.push(...executionProviders);
        return Promise.resolve({
          inputMetadata: ["a", "b"].map(metadata),
          outputMetadata: [metadata("y")],
          run: (_inputs: unknown, { y }: { y: { data: Float32Array } }) => {
            y.data.set([7, 10, 15, 22]);
            return Promise.resolve({});
          },
          release: () => Promise.resolve(),
        });
      },
    },
  } as unknown as typeof ort;
  const devices = await chooseDevices(cards, ["cuda"], 3, () => true);
  assert.deepEqual(devices, ["cuda", "cuda:1", "cuda:2"]);
  assert.deepEqual(asked, ["cuda", { name: "cuda", deviceId: 1 }, { name: "cuda", deviceId: 2 }]);
});
