import assert from "node:assert/strict";
import type { Checksums } from "./build.ts";
import { compareBuild } from "./check_build.ts";

Deno.test("a build is compared with the committed bytes, the recorded hashes and tools", async () => {
  const sources = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${sources}/a.so`, Uint8Array.of(1, 2, 3));
    await Deno.mkdir(`${sources}/kernels`);
    await Deno.writeFile(`${sources}/kernels/b.wasm`, Uint8Array.of(4, 5));
    const folders = { sources, kernels: `${sources}/kernels`, target: `${sources}/target` };
    const recorded: Checksums = {
      toolchain: { rustc: "rustc 1", llc: "llc 2" },
      sha256: { "a.so": "one", "b.wasm": "two" },
    };
    const built = new Map([["a.so", Uint8Array.of(1, 2, 3)], ["b.wasm", Uint8Array.of(4, 5)]]);
    const compare = (change: Partial<Checksums> = {}) =>
      compareBuild(folders, built, recorded, { ...recorded, ...change });
    assert.deepEqual(await compare(), { different: [], otherTools: [] });

    assert.deepEqual(await compare({ toolchain: { rustc: "rustc 2", llc: "llc 2" } }), {
      different: [],
      otherTools: ["rustc: recorded rustc 1, here rustc 2"],
    });
    const sha256 = { "a.so": "one", "b.wasm": "other" };
    assert.deepEqual((await compare({ sha256 })).different, ["b.wasm"]);
    built.set("a.so", Uint8Array.of(1, 2, 4));
    assert.deepEqual((await compare()).different, ["a.so"]);
    built.set("a.so", Uint8Array.of(1, 2));
    assert.deepEqual((await compare()).different, ["a.so"]);
  } finally {
    await Deno.remove(sources, { recursive: true });
  }
});
