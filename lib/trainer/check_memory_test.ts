import assert from "node:assert/strict";
import type { Optimizer } from "../protocol/coordinator_state.ts";
import { checkpointConfig } from "./resolve_checkpoint.ts";
import { checkMemory, type MemoryOptions } from "./check_memory.ts";
import { formatLlamaConfig, nanoConfig, parseLlamaConfig } from "./model/llama_config.ts";

const optimizer = { kind: "AdamW" } as Optimizer;
const offline = { fetch, cacheDirectory: "/nonexistent", offline: true };
const repo = (repoId: string) => ({ repoId, revision: null });

Deno.test("a run whose weights only peers have is refused by the config.json that it began with", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/config.json`, formatLlamaConfig(nanoConfig(512)));
    const config = await checkpointConfig({ kind: "P2P", repo: repo(directory) }, { hub: offline });
    assert.ok(config !== null);
    const options = { sequenceLength: 128, microBatchSize: 8, optimizer };
    const check = (text: string, more: Partial<MemoryOptions>) =>
      checkMemory(parseLlamaConfig(text), { ...options, ...more });
    check(config, { memoryLimit: 1e9 });
    for (const more of [{}, { dataParallelism: 2, memoryLimit: 300e6 }]) {
      assert.throws(() => check(config, { memoryLimit: 100e6, ...more }), {
        code: "MODEL_TOO_LARGE",
      });
    }
    const other = config.replace('"llama"', '"deepseek_v3"');
    assert.throws(() => check(other, {}), { code: "MODEL_CONFIG_INVALID" });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a config.json that nobody has now refuses nothing", async () => {
  const config = await checkpointConfig(
    { kind: "P2P", repo: repo("nobody/nothing") },
    { hub: offline },
  );
  assert.equal(config, null);
});
