import assert from "node:assert/strict";
import { addressCheck } from "./image_flags.ts";

Deno.test("a process list does not show the cluster's address, which may hold a key", () => {
  const rpc = "https://rpc.example.org/?key=secret";
  const { args, env } = addressCheck({ rpc, coordinatorProgramId: "C", yes: true });
  assert.deepEqual(args.slice(-3), ["--coordinator-program-id", "C", "--yes"]);
  assert.ok(!args.join(" ").includes("secret"));
  assert.deepEqual(env, { RPC: rpc });
});
