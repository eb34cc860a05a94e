/** Weights as files: one, or parts with an index where one would be too large. */
import { join } from "node:path";
import { elementBytes, writeSafetensors } from "../safetensors.ts";
import type { WeightFormat } from "../trainer.ts";
import { INDEX } from "./weight_files.ts";

interface Parameter {
  name: string;
  shape: readonly number[];
  data: Float32Array;
}

const MAX_FILE_BYTES = 5 * 2 ** 30;

/**
 * Writes `model.safetensors`, or `model-00001-of-0000n.safetensors` ... and their index:
 * docs/protocol/client-lifecycle.md section 8.1.
 *
 * @param parameters in the order of their names
 * @throws PsycheError as `writeSafetensors`
 */
export async function writeWeightFiles(
  directory: string,
  parameters: readonly Parameter[],
  { dtype = "F32", maxFileBytes = MAX_FILE_BYTES }: WeightFormat,
): Promise<void> {
  const bytes = elementBytes(dtype);
  const parts = split(parameters, maxFileBytes / bytes);
  const write = (file: string, part: readonly Parameter[]) =>
    writeSafetensors(join(directory, file), new Map(part.map((tensor) => [tensor.name, tensor])), {
      dtype,
    });
  if (parts.length <= 1) return await write("model.safetensors", parameters);
  const weightMap: Record<string, string> = {};
  for (const [i, part] of parts.entries()) {
    const file = `model-${fiveDigits(i + 1)}-of-${fiveDigits(parts.length)}.safetensors`;
    await write(file, part);
    for (const { name } of part) weightMap[name] = file;
  }
  const elements = parameters.reduce((sum, { data }) => sum + data.length, 0);
  const index = { metadata: { total_size: elements * bytes }, weight_map: weightMap };
  await Deno.writeTextFile(join(directory, INDEX), `${JSON.stringify(index, null, 2)}\n`);
}

function split(parameters: readonly Parameter[], maxElements: number): Parameter[][] {
  const parts: Parameter[][] = [];
  let room = 0;
  for (const parameter of parameters) {
    const { length } = parameter.data;
    if (parts.length === 0 || length > room) {
      parts.push([]);
      room = maxElements;
    }
    parts.at(-1)!.push(parameter);
    room -= length;
  }
  return parts;
}

function fiveDigits(value: number): string {
  return String(value).padStart(5, "0");
}
