/** The experiment of docs/learning, as short as it can be, as its reader would repeat it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LearningReport } from "../../lib/demo/learning_experiment.ts";
import { makeWorkspace } from "../operator/script.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const STEPS = 10;

Deno.test("experiment-learning: three trainings of one model on one order of data, written down", async () => {
  const folder = await makeWorkspace();
  try {
    const script = [`--config=${ROOT}deno.json`, `${ROOT}scripts/experiment-learning.ts`];
    const flags = ["--steps", `${STEPS}`, "--clients", "2", "--out", "learning", "--json"];
    const ended = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", ...script, ...flags],
      cwd: folder,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const [stdout, stderr] = [ended.stdout, ended.stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    );
    assert.equal(ended.code, 0, stderr);
    const read = (name: string) => Deno.readTextFile(join(folder, "learning", name));
    const report: LearningReport = JSON.parse(await read("result.json"));
    const { out, ...printed } = JSON.parse(stdout);
    assert.deepEqual([out, printed], ["learning", report]);
    assert.deepEqual([report.weightsEqual, report.weightsCompared], [true, STEPS - 2]);
    // The same initial model; its first batch is the same one, so the losses differ in rounding alone.
    const [first] = report.curves;
    for (const { name, steps, heldOut, seconds } of report.curves) {
      assert.equal(steps.length, STEPS, name);
      const near = (a: number, b: number) =>
        assert.ok(Math.abs(a - b) < 1e-3, `${name}: ${a}, ${b}`);
      near(heldOut[0].loss, first.heldOut[0].loss);
      near(steps[0].loss, first.steps[0].loss);
      assert.ok(heldOut.at(-1)!.loss < 0.95 * heldOut[0].loss, name);
      assert.ok(seconds > 0, name);
      assert.match(stderr, new RegExp(`^${name}: step 1, loss`, "m"));
    }
    const [alone, , network] = report.curves;
    assert.equal(alone.bytesPerStep, 0);
    assert.ok(network.bytesPerStep * 100 < report.bytesDense);
    assert.match(await read("README.md"), /10 steps of 16 sequences.*All three learn/s);
    assert.match(await read("loss.svg"), /^<svg.*DisTrO, 2 clients/s);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
