/** Devices of several data-parallel ranks. */
import { PsycheError } from "../../error.ts";
import type { ComputeDevice, DeviceChoice } from "../trainer.ts";
import { chooseDevice } from "./device.ts";
import { MAX_DATA_PARALLELISM } from "./device_text.ts";
import type { OnnxRuntime } from "./onnx_runtime.ts";

/**
 * How many data-parallel ranks there are.
 *
 * @param ranks default: as many as `choices`
 * @throws PsycheError `TRAINER_OPTION_INVALID`
 */
export function countRanks(choices: readonly DeviceChoice[], ranks = choices.length): number {
  if (!Number.isSafeInteger(ranks) || ranks < 1 || ranks > MAX_DATA_PARALLELISM) {
    throw new PsycheError(
      "TRAINER_OPTION_INVALID",
      `dataParallelism is ${ranks}; use a whole number from 1 to ${MAX_DATA_PARALLELISM}.`,
    );
  }
  if (choices.length > ranks) {
    throw new PsycheError(
      "TRAINER_OPTION_INVALID",
      `${choices.length} devices (${choices}) are more than ${ranks} data-parallel ranks; ` +
        "raise --data-parallelism or name fewer devices.",
    );
  }
  return ranks;
}

/**
 * The device of each rank. A single `cuda` means a card of its own for each; `auto` is that where CUDA
 * works. Each device is tried once.
 *
 * @param hasCuda as in `chooseDevice`
 * @throws PsycheError `DEVICE_UNAVAILABLE`
 */
export async function chooseDevices(
  ort: OnnxRuntime,
  choices: readonly DeviceChoice[],
  ranks: number,
  hasCuda?: () => boolean,
): Promise<ComputeDevice[]> {
  const tried = new Map<DeviceChoice, ComputeDevice>();
  const choose = async (choice: DeviceChoice) => {
    const device = tried.get(choice) ?? await chooseDevice(ort, choice, hasCuda);
    tried.set(choice, device);
    return device;
  };
  const devices: ComputeDevice[] = [];
  for (let rank = 0; rank < ranks; rank++) {
    const device = await choose(choices[rank % choices.length]);
    const ownCard = device === "cuda" && choices.length === 1 && rank > 0;
    devices.push(ownCard ? await choose(`cuda:${rank}`) : device);
  }
  return devices;
}
