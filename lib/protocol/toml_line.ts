/**
 * Line on which a key of a TOML text stands, counted from 1; the line of its table when the key itself
 * is missing or inside an inline table; null when not even that can be found. Good for messages: keys in
 * quotes and keys that share a line are not looked for.
 *
 * @example
 * ```ts
 * lineOfKey("[a]\n[a.b]\nc = 1", "a.b.c"); // 3
 * ```
 */
export function lineOfKey(text: string, key: string): number | null {
  const lines = new Map<string, number>();
  let table = "";
  text.split("\n").forEach((line, i) => {
    const header = /^\s*\[\s*([\w.-]+)\s*\]/.exec(line)?.[1];
    if (header !== undefined) {
      table = header;
      lines.set(table, i + 1);
      return;
    }
    const name = /^\s*([\w.-]+)\s*=/.exec(line)?.[1];
    if (name !== undefined) lines.set(table === "" ? name : `${table}.${name}`, i + 1);
  });
  for (let path = key; path !== ""; path = path.slice(0, Math.max(0, path.lastIndexOf(".")))) {
    const line = lines.get(path);
    if (line !== undefined) return line;
  }
  return null;
}
