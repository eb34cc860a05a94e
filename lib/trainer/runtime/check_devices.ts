/** Trying devices before anything depends on them. */
import type { TrainerOptions } from "../trainer.ts";
import { chooseDevices, countRanks } from "./device_list.ts";
import { loadOnnxRuntime } from "./onnx_runtime.ts";

/**
 * Refuses devices that a trainer with these options would refuse. The runtime is loaded only when a
 * device other than the CPU is named.
 *
 * @throws PsycheError `DEVICE_UNAVAILABLE`, `TRAINER_OPTION_INVALID`
 */
export async function checkDevices(
  { device = "auto", dataParallelism }: Pick<TrainerOptions, "device" | "dataParallelism">,
): Promise<void> {
  const choices = [device].flat();
  const ranks = countRanks(choices, dataParallelism);
  if (choices.every((choice) => choice === "auto" || choice === "cpu")) return;
  await chooseDevices(await loadOnnxRuntime(), choices, ranks);
}
