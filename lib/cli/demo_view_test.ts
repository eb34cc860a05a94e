import assert from "node:assert/strict";
import { RunMonitor } from "../events/run_monitor.ts";
import { createDemoView } from "./demo_view.ts";
import { createOutput } from "./output.ts";
import { testRuntime } from "./test_runtime.ts";

Deno.test("lines of progress count clients in good English", () => {
  const monitor = new RunMonitor();
  const lines = ["one", "two"].map((client) => {
    monitor.add({ type: "waiting", reason: "", client, time: 0 });
    const runtime = testRuntime([]);
    createDemoView(createOutput(runtime, { json: false }), 60)(monitor);
    return runtime.written.stderr;
  });
  assert.deepEqual(lines, ["Starting clients    1 client\n", "Starting clients    2 clients\n"]);
});
