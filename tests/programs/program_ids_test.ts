/** programs/README.md: binding a build to other addresses, and the placeholder. */
import assert from "node:assert/strict";
import { bindProgramIds } from "../../lib/chain/program_ids_table.ts";
import { assertError, Chain, key, programFile, Run } from "./harness.ts";

const ids = { authorizer: key("another authorizer"), coordinator: key("another coordinator") };

Deno.test("an unchanged build refuses to run at another address", () => {
  const chain = new Chain();
  chain.svm.addProgram(ids.authorizer.toBytes(), programFile("authorizer"));
  chain.svm.addProgram(ids.coordinator.toBytes(), programFile("coordinator"));
  const run = new Run(chain, "test", ids);
  assertError(chain.send(run.tick()), 4100, "DeclaredProgramIdMismatch");
});

Deno.test("a build with other ids in its table works at them, and only with that authorizer", () => {
  const chain = new Chain();
  const { authorizer, coordinator } = ids;
  chain.svm.addProgram(
    authorizer.toBytes(),
    bindProgramIds(programFile("authorizer"), [authorizer]),
  );
  chain.svm.addProgram(
    coordinator.toBytes(),
    bindProgramIds(programFile("coordinator"), [coordinator, authorizer]),
  );
  const run = new Run(chain, "test", ids).create().configure();
  chain.run(run.setPaused(false), run.join(chain.wallet("A")));
  assert.equal(run.state().clientsState.clients.length, 1);

  const declared = new Run(chain, "declared").create();
  const join = run.join(chain.wallet("B"));
  join.keys[1].pubkey = declared.authorization;
  assertError(chain.send(join), 3007, "AccountOwnedByWrongProgram", "authorization");
});

Deno.test("the tables hold the declared ids", () => {
  const { ids } = new Chain();
  const table = (name: "authorizer" | "coordinator", count: number) => {
    const file = Buffer.from(programFile(name));
    const at = file.indexOf("PSYCHE-PROG-IDS\0") + 16;
    assert.equal(file.indexOf("PSYCHE-PROG-IDS\0", at), -1, "one table");
    return file.subarray(at, at + 32 * count).toString("hex");
  };
  const [authorizer, coordinator] = [ids.authorizer, ids.coordinator].map((id) =>
    Buffer.from(id.toBytes()).toString("hex")
  );
  assert.equal(table("authorizer", 1), authorizer);
  assert.equal(table("coordinator", 2), coordinator + authorizer);
  // An id anywhere else would be one that changing the table does not change.
  for (const name of ["authorizer", "coordinator"] as const) {
    const file = Buffer.from(programFile(name)).toString("hex");
    const words = [ids.authorizer, ids.coordinator].map((id) =>
      Buffer.from(id.toBytes().subarray(0, 4)).toString("hex")
    );
    for (const word of words) assert.ok(file.split(word).length <= 2, `${name} repeats an id`);
  }
});

Deno.test("the placeholder says that nothing is deployed", () => {
  const chain = new Chain();
  chain.svm.addProgram(chain.ids.coordinator.toBytes(), programFile("placeholder"));
  const result = chain.send(new Run(chain).tick());
  assert.notEqual(result.error, null);
  assert.match(result.logs.join("\n"), /not deployed yet/);
});
