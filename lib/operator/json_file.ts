/** JSON files that are either the old or the new version, never half of one. */
import { dirname } from "node:path";

/** Writes to a temporary neighbour, then renames. Creates the directory. */
export async function writeJsonFile(path: string, value: unknown): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await Deno.writeTextFile(temporary, JSON.stringify(value, null, 2) + "\n", {
      createNew: true,
    });
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}
