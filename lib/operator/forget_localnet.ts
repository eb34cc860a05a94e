/** Records of a localnet that has ended describe nothing, and would only mislead later commands. */
import { join } from "node:path";

/**
 * Removes the records of one cluster's folder whose genesis hash is not wanted; the folder too when it
 * is empty then. Files that are no records stay.
 */
export async function forgetRecords(
  directory: string,
  cluster: string,
  isForgotten: (genesisHash: string) => boolean,
): Promise<void> {
  const folder = join(directory, cluster);
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      if (!isFile || !name.endsWith(".json")) continue;
      const genesisHash = await genesisOf(join(folder, name));
      if (genesisHash !== null && isForgotten(genesisHash)) await Deno.remove(join(folder, name));
    }
    if ((await Array.fromAsync(Deno.readDir(folder))).length === 0) await Deno.remove(folder);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function genesisOf(path: string): Promise<string | null> {
  try {
    const { genesisHash } = JSON.parse(await Deno.readTextFile(path));
    return typeof genesisHash === "string" ? genesisHash : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null;
    throw error;
  }
}
