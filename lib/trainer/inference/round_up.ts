/** The least of `least`, `least * factor`, `least * factor²` … that is not below `count`. */
export function roundUp(count: number, least: number, factor = 2): number {
  let size = least;
  while (size < count) size *= factor;
  return size;
}
