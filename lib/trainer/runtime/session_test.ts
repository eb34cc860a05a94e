import assert from "node:assert/strict";
import { mul } from "../graph/elementwise.ts";
import { gatherRows } from "../graph/gather.ts";
import { compile } from "../graph/passes.ts";
import { Graph } from "../graph/tensor.ts";
import { loadOnnxRuntime, type OnnxRuntime } from "./onnx_runtime.ts";
import { Session } from "./session.ts";

const ort = await loadOnnxRuntime();

/** The runtime, telling what became of every run. */
function observed(told: (outcome: unknown) => void): OnnxRuntime {
  return {
    ...ort,
    InferenceSession: {
      ...ort.InferenceSession,
      create: async (...values: Parameters<typeof ort.InferenceSession.create>) => {
        const session = await ort.InferenceSession.create(...values);
        const run = session.run.bind(session) as (...values: unknown[]) => Promise<unknown>;
        const observing = (...values: unknown[]) =>
          run(...values).then((result) => {
            told(result);
            return result;
          }, (error) => {
            told(error);
            throw error;
          });
        return Object.assign(session, { run: observing });
      },
    },
  } as unknown as OnnxRuntime;
}

Deno.test("a run fills the arrays it is given, and the binding hands out no copies", async () => {
  const outcomes: unknown[] = [];
  const graph = new Graph();
  const x = graph.input("x", [3]);
  const model = compile(graph, { square: mul(x, x), twice: mul(x, graph.scalar(2)) });
  const session = await Session.create(observed((o) => outcomes.push(o)), model, { threads: 1 });
  const [square, twice] = [new Float32Array(3), new Float32Array(3)];
  const feeds = new Map([["x", Float32Array.of(1, 2, 3)]]);
  await session.run(feeds, new Map([["square", square], ["twice", twice]]));
  assert.deepEqual([[...square], [...twice]], [[1, 4, 9], [2, 4, 6]]);
  await session.run(feeds, new Map([["twice", square]]));
  assert.deepEqual([...square], [2, 4, 6]);
  await session.release();
  // A binding that answers with tensors again would work too, but cost time: worth a look then.
  assert.deepEqual(outcomes.map((outcome) => outcome instanceof Error), [true, true]);
});

Deno.test("an operator that fails is reported", async () => {
  const graph = new Graph();
  const rows = gatherRows(graph.input("x", [2, 1]), graph.input("rows", [1], "int32"));
  const session = await Session.create(ort, compile(graph, { y: rows }), { threads: 1 });
  const run = (row: number) =>
    session.run(
      new Map<string, Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>>([
        ["x", Float32Array.of(5, 6)],
        ["rows", Int32Array.of(row)],
      ]),
      new Map([["y", new Float32Array(1)]]),
    );
  await run(1);
  await assert.rejects(run(7), { code: "GRAPH_RUN_FAILED", message: /indices/ });
  await session.release();
});
