import assert from "node:assert/strict";
import { PsycheError } from "../error.ts";
import type { TrainerMethods } from "./trainer_methods.ts";
import { WorkerClient } from "./worker_client.ts";

const module = (source: string) => new URL(`data:text/javascript,${encodeURIComponent(source)}`);

Deno.test("calls that wait for a worker that dies are rejected, and so are later ones", async () => {
  const client = new WorkerClient<TrainerMethods>(
    module("onmessage = () => { throw new Error('gone'); }"),
  );
  await assert.rejects(client.call("weightsSha256"), { code: "TRAINER_FAILED", message: /gone/ });
  await assert.rejects(client.call("weightsSha256"), { code: "TRAINER_FAILED" });
});

Deno.test("a worker that cannot start rejects the first call", async () => {
  const client = new WorkerClient<TrainerMethods>(module("syntax error"));
  await assert.rejects(client.call("release"), { code: "TRAINER_FAILED" });
});

Deno.test("a call before a model is open is refused by the worker", async () => {
  const client = new WorkerClient<TrainerMethods>(new URL("./worker.ts", import.meta.url));
  await assert.rejects(client.call("weightsSha256"), { code: "TRAINER_CLOSED" });
  client.end(new PsycheError("TRAINER_CLOSED", "The test is over."));
});
