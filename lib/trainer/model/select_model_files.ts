/** Which files of a repository or bucket make a model. */

/**
 * The settings and the weights among files at the top of a repository; none when either is missing.
 * Some repositories hold the same weights once more under other names.
 */
export function selectModelFiles<File extends { path: string }>(files: readonly File[]): File[] {
  const own = files.filter(({ path }) => !path.includes("/"));
  const weights = own.filter(({ path }) => path.endsWith(".safetensors"));
  const standard = weights.filter(({ path }) => isStandardWeights(path));
  const settings = own.filter(({ path }) => path.endsWith(".json"));
  const chosen = standard.length > 0 ? standard : weights;
  const needed = chosen.length > 0 && settings.some(({ path }) => path === "config.json");
  return needed ? [...settings, ...chosen] : [];
}

/** True for the names that `writeWeightFiles` gives to weights. */
export function isStandardWeights(path: string): boolean {
  return /^model(-\d+-of-\d+)?\.safetensors$/.test(path);
}
