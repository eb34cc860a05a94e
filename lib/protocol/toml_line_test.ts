import assert from "node:assert/strict";
import { lineOfKey } from "./toml_line.ts";

const TEXT = `# a run
[config]
warmup_time = 5
seed = [
  1, 2,
]
[model.LLM]
max_seq_len = 128
checkpoint = { Hub = { repo_id = "a" } }
[model.LLM.optimizer.Distro]
clip_grad_norm = 1.0
`;

Deno.test("the line of a key, or of the nearest thing around it", () => {
  const cases: [string, number | null][] = [
    ["config.warmup_time", 3],
    ["config.seed", 4],
    ["config.epoch_time", 2],
    ["model.LLM.max_seq_len", 8],
    ["model.LLM.checkpoint.Hub.repo_id", 9],
    ["model.LLM.optimizer.Distro.clip_grad_norm", 11],
    ["model.LLM.data_location", 7],
    ["other", null],
  ];
  for (const [key, line] of cases) assert.equal(lineOfKey(TEXT, key), line, key);
});
