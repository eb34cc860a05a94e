/** Deploying publishes the IDLs of programs that are ours, and goes on when one is refused. */
import assert from "node:assert/strict";
import { Keypair, PublicKey } from "@solana/web3.js";
import { unpackIdl } from "../../lib/chain/idl_account.ts";
import { readIdlAccount } from "../../lib/chain/publish_idl.ts";
import { spawnLocalnet } from "../../lib/localnet/spawn.ts";
import { airdropUpTo } from "../../lib/operator/airdrop.ts";
import { closeOperator, openOperator } from "../../lib/operator/context.ts";
import { deployPrograms } from "../../lib/operator/deploy_programs.ts";

const file = (name: string) => Deno.readFile(new URL(`../../programs/${name}.so`, import.meta.url));

Deno.test("IDLs are published with the programs, once", {
  sanitizeResources: false,
  sanitizeOps: false,
}, async () => {
  const folder = await Deno.makeTempDir();
  const localnet = await spawnLocalnet({});
  const payer = Keypair.generate();
  const context = await openOperator({
    rpc: localnet.rpcUrl,
    wsRpc: localnet.wsUrl,
    runsDirectory: `${folder}/runs`,
    keysDirectory: `${folder}/keys`,
    payer,
  });
  try {
    await airdropUpTo(context.connection, payer.publicKey, 100e9);
    const programs = {
      authorizer: { so: await file("authorizer") },
      coordinator: { so: await file("coordinator") },
    };
    const deploy = (publishIdls: boolean) => deployPrograms(context, { programs, publishIdls });
    const idls = (result: Awaited<ReturnType<typeof deploy>>) =>
      result.programs.map(({ idl }) => idl);
    const first = await deploy(false);
    assert.deepEqual(idls(first), [null, null]);
    assert.deepEqual(idls(await deploy(true)), ["created", "created"]);
    assert.deepEqual(idls(await deploy(true)), ["unchanged", "unchanged"]);
    for (const { programId, name } of first.programs) {
      const account = await readIdlAccount(context.connection, new PublicKey(programId));
      const idl = unpackIdl(account!.data);
      assert.equal(idl.address, programId);
      assert.match(idl.metadata.name, new RegExp(name));
    }
  } finally {
    await closeOperator(context);
    await localnet.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
