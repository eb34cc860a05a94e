/**
 * The IDLs against the programs: discriminators, account order, signer and writable flags, fixed
 * addresses (docs/protocol/onchain-common.md sections 2 and 4).
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { PublicKey } from "@solana/web3.js";
import { assertError, key } from "./harness.ts";
import { changed, IDLS, INSTRUCTIONS, type Scene, SCENES } from "./scenes.ts";

const discriminator = (
  text: string,
) => [...createHash("sha256").update(text).digest().subarray(0, 8)];

const camelCase = (name: string) =>
  name.split("_").map((word) => word[0].toUpperCase() + word.slice(1)).join("");

/** Accounts that are created: a read-only one is refused by the runtime in the call that creates. */
const CREATED: Record<string, string[]> = {
  "authorizer.authorization_create": ["payer", "authorization"],
  "coordinator.init_coordinator": ["payer", "coordinator_instance"],
  "treasurer.run_create": ["payer", "run", "run_collateral"],
  "treasurer.participant_create": ["payer", "participant"],
};

Deno.test("every IDL instruction has a scene, and no other one does", () => {
  for (const [program, idl] of Object.entries(IDLS)) {
    const names = idl.instructions.map((instruction) => instruction.name).sort();
    assert.deepEqual(Object.keys(SCENES[program as keyof typeof SCENES]).sort(), names);
  }
});

Deno.test("account discriminators are those of their names", () => {
  for (const idl of Object.values(IDLS)) {
    for (const account of idl.accounts ?? []) {
      assert.deepEqual(account.discriminator, discriminator(`account:${account.name}`));
    }
  }
});

for (const [program, name] of INSTRUCTIONS) {
  Deno.test(`${program}.${name} is as its IDL says`, () => {
    const scene = SCENES[program][name];
    const definition = IDLS[program].instructions.find((entry) => entry.name === name)!;
    const flags = definition.accounts.map((account) => {
      assert.ok(!("accounts" in account));
      return account;
    });
    assert.deepEqual(definition.discriminator, discriminator(`global:${name}`));

    const good = scene();
    assert.deepEqual([...good.instruction.data.subarray(0, 8)], definition.discriminator);
    assert.equal(good.instruction.keys.length, flags.length);
    // Every refused attempt leaves the chain as it was, so that one chain serves all of them.
    const attempt = (change: Parameters<typeof changed>[1], on: Scene = good) =>
      on.chain.send(changed(on.instruction, change));
    flags.forEach((account, i) => {
      const meta = good.instruction.keys[i];
      assert.equal(meta.isSigner, account.signer ?? false, account.name);
      assert.equal(meta.isWritable, account.writable ?? false, account.name);
      assertError(attempt({ count: i }), 3005, "AccountNotEnoughKeys", account.name);
      if (account.signer) {
        const unsigned = attempt({ keys: { [i]: { isSigner: false } } });
        assertError(unsigned, 3010, "AccountNotSigner", account.name);
      }
      if (account.writable) {
        const readOnly = attempt({ keys: { [i]: { isWritable: false } } });
        if (CREATED[`${program}.${name}`]?.includes(account.name)) {
          assert.equal(readOnly.error, "PrivilegeEscalation", account.name);
        } else assertError(readOnly, 2000, "ConstraintMut", account.name);
      }
      if (account.address) {
        assert.ok(meta.pubkey.equals(new PublicKey(account.address)), account.name);
        const other = attempt({ keys: { [i]: { pubkey: key("another program") } } });
        assertError(other, 3008, "InvalidProgramId", account.name);
      }
    });
    // An instruction that uses more than its IDL says would not succeed with just that.
    const result = good.chain.run(good.instruction);
    assert.equal(result.logs[0], `Instruction: ${camelCase(name)}`);
    const unknown = Buffer.from(good.instruction.data);
    unknown[0] ^= 1;
    assertError(attempt({ data: unknown }), 101, "InstructionFallbackNotFound");
    if (definition.args.length > 0) {
      const bare = attempt({ data: good.instruction.data.subarray(0, 8) });
      assertError(bare, 102, "InstructionDidNotDeserialize");
    }
  });
}
