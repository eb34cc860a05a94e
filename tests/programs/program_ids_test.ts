/** programs/README.md: binding a build to other addresses, and the placeholder. */
import assert from "node:assert/strict";
import type { PublicKey } from "@solana/web3.js";
import { bindProgramIds } from "../../lib/chain/program_ids_table.ts";
import {
  deployWithMaxDataLen,
  LOADER_V3,
  PROGRAM_ACCOUNT_BYTES,
  upgrade,
} from "../../lib/chain/loader_v3.ts";
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

/** A loader buffer that holds `file`. */
function buffer(chain: Chain, name: string, authority: PublicKey, file: Uint8Array): PublicKey {
  const data = new Uint8Array(37 + file.length);
  data.set([1, 0, 0, 0, 1]);
  data.set(authority.toBytes(), 5);
  data.set(file, 37);
  chain.put(key(name), data, LOADER_V3);
  return key(name);
}

Deno.test("the loader verifies all programs, and upgrades the placeholder to the real one", () => {
  const chain = new Chain();
  const authority = chain.wallet("upgrade authority");
  const deploy = (program: PublicKey, file: Uint8Array, maxDataLen: number) => {
    chain.put(program, new Uint8Array(PROGRAM_ACCOUNT_BYTES), LOADER_V3);
    const from = buffer(chain, `buffer for ${program}`, authority, file);
    chain.run(
      deployWithMaxDataLen({ payer: authority, program, buffer: from, authority, maxDataLen }),
    );
  };
  const real = bindProgramIds(programFile("coordinator"), [ids.coordinator, ids.authorizer]);
  const authorizer = bindProgramIds(programFile("authorizer"), [ids.authorizer]);
  deploy(ids.authorizer, authorizer, authorizer.length);
  deploy(ids.coordinator, programFile("placeholder"), real.length);
  chain.at(chain.time + 1n, chain.slot + 1n);
  const run = new Run(chain, "test", ids);
  assert.match(chain.send(run.tick()).logs.join("\n"), /not deployed yet/);

  const from = buffer(chain, "the real one", authority, real);
  chain.run(upgrade({ program: ids.coordinator, buffer: from, spill: authority, authority }));
  chain.at(chain.time + 1n, chain.slot + 1n);
  run.create().configure();
  chain.run(run.setPaused(false), run.join(chain.wallet("A")));
  assert.equal(run.state().clientsState.clients.length, 1);
});
