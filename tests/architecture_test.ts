/** Imports point down and never in a circle; only scripts use `lib/cli`. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { dirname, join, relative } from "node:path";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** What the files of each folder may import besides their own folder and `lib/error.ts`. */
const ALLOWED: Record<string, string[]> = {
  "lib/protocol": [],
  "lib/events": [],
  "lib/container": [],
  "lib/localnet": [],
  "lib/chain": ["lib/protocol"],
  "lib/p2p": ["lib/protocol"],
  "lib/trainer": ["lib/protocol"],
  "lib/operator": ["lib/protocol", "lib/chain", "lib/localnet", "lib/trainer"],
  "lib/client": ["lib/protocol", "lib/events", "lib/chain", "lib/p2p", "lib/trainer"],
  "lib/data_server": ["lib/protocol", "lib/chain", "lib/p2p", "lib/trainer"],
  "lib/demo": [
    "lib/protocol",
    "lib/events",
    "lib/chain",
    "lib/operator",
    "lib/trainer",
    "lib/client",
  ],
};

async function sources(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(join(ROOT, folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) files.push(...await sources(path));
    else if (/\.ts$/.test(entry.name) && !/_(test|bench)\.ts$/.test(entry.name)) files.push(path);
  }
  return files;
}

/** Own files that a file imports, type-only imports included. */
async function imports(file: string): Promise<string[]> {
  const text = await Deno.readTextFile(join(ROOT, file));
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)]
    .map(([, path]) => relative(ROOT, join(ROOT, dirname(file), path)))
    .filter((path) => path.endsWith(".ts"));
}

const graph = new Map<string, string[]>();
for (const file of await sources("lib")) graph.set(file, await imports(file));

Deno.test("imports of lib point down", () => {
  const wrong: string[] = [];
  for (const [file, targets] of graph) {
    const folder = file.split("/").slice(0, 2).join("/");
    const allowed = ALLOWED[folder];
    if (!allowed) continue;
    for (const target of targets) {
      const fine = target === "lib/error.ts" || target.startsWith(`${folder}/`) ||
        allowed.some((other) => target.startsWith(`${other}/`));
      if (!fine) wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("no file of lib imports itself through others", () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) {
      circles.push([...path.slice(at), file].join(" -> "));
      return;
    }
    if (done.has(file)) return;
    for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  assert.deepEqual(circles, []);
});
