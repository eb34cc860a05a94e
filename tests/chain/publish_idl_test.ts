/** The toolkit publishes IDLs; stock Anchor finds and uses them. */
import assert from "node:assert/strict";
import anchor from "@coral-xyz/anchor";
import { Keypair, type PublicKey } from "@solana/web3.js";
import { bindProgramIds, deployProgram } from "../../lib/chain/deploy.ts";
import { idlAddress } from "../../lib/chain/idl_account.ts";
import { authorizerIdl, coordinatorIdl, treasurerIdl } from "../../lib/chain/programs.ts";
import { publishIdl, readIdlAccount } from "../../lib/chain/publish_idl.ts";
import { PsycheError } from "../../lib/error.ts";
import { type Chain, fund, PROGRAMS, withLocalnet } from "./chain_test_support.ts";

// web3.js keeps its HTTP agent's sockets open: nothing of the localnet's.
const test = { sanitizeResources: false, sanitizeOps: false };

const IDLS = { authorizer: authorizerIdl, coordinator: coordinatorIdl, treasurer: treasurerIdl };

/** Deploys a program under a fresh key, and returns its id and the IDL that names it. */
async function deployed({ connection, wallet }: Chain, name: keyof typeof IDLS) {
  const program = Keypair.generate();
  const programId = program.publicKey;
  const table = name === "authorizer" ? [programId] : [programId, programId];
  const so = bindProgramIds(await Deno.readFile(new URL(`${name}.so`, PROGRAMS)), table);
  await deployProgram({ connection, payer: wallet, authority: wallet, so, program });
  return { programId, idl: { ...IDLS[name], address: programId.toBase58() } };
}

const fetchIdl = ({ connection }: Chain, programId: PublicKey) =>
  anchor.Program.fetchIdl(programId, { connection } as anchor.AnchorProvider);

Deno.test("Anchor fetches the published IDLs and makes clients of them", test, async () => {
  await withLocalnet({}, async (chain) => {
    const { connection, wallet } = chain;
    for (const name of ["authorizer", "treasurer", "coordinator"] as const) {
      const { programId, idl } = await deployed(chain, name);
      const progress: number[] = [];
      const options = { connection, payer: wallet, programId, idl: IDLS[name] };
      const onProgress = (done: number) => progress.push(done);
      assert.equal(await fetchIdl(chain, programId), null);
      const published = await publishIdl({ ...options, onProgress });
      assert.equal(published.action, "created");
      assert.ok(published.address.equals(idlAddress(programId)));
      assert.deepEqual(progress, progress.map((_, n) => n + 1));

      assert.deepEqual(await fetchIdl(chain, programId), idl);
      assert.equal((await publishIdl(options)).action, "unchanged");
      if (name === "coordinator") await useIdl(chain, programId);
    }
  });
});

/** A client made of nothing but the program's address. */
async function useIdl({ connection, wallet }: Chain, programId: PublicKey) {
  const provider = { connection } as anchor.AnchorProvider;
  const program = await anchor.Program.at<anchor.Idl>(programId, provider);
  const instruction = await program.methods.tick().accountsPartial({
    user: wallet.publicKey,
    coordinatorInstance: wallet.publicKey,
    coordinatorAccount: wallet.publicKey,
  }).instruction();
  const tick = coordinatorIdl.instructions.find(({ name }) => name === "tick")!;
  assert.deepEqual([...instruction.data], tick.discriminator);
}

Deno.test("replacing an IDL: same room, more room, and by somebody else", test, async () => {
  await withLocalnet({}, async (chain) => {
    const { connection, wallet } = chain;
    const { programId, idl } = await deployed(chain, "authorizer");
    const publish = (docs: string[], payer = wallet) =>
      publishIdl({ connection, payer, programId, idl: { ...idl, docs } });
    const published = async () => (await fetchIdl(chain, programId))?.docs;
    await publish(["first"]);
    assert.equal((await publish(["second"])).action, "updated");
    assert.deepEqual(await published(), ["second"]);

    // Text that does not compress, so that the account must be made anew, in two steps of growth.
    const noise = Buffer.from(crypto.getRandomValues(new Uint8Array(7_000))).toString("base64");
    const before = (await readIdlAccount(connection, programId))!.capacity;
    assert.equal((await publish([noise])).action, "updated");
    assert.deepEqual(await published(), [noise]);
    assert.ok((await readIdlAccount(connection, programId))!.capacity > before);

    const stranger = Keypair.generate();
    await fund(connection, stranger.publicKey, 1);
    await assert.rejects(
      publish(["theirs"], stranger),
      (error) => error instanceof PsycheError && error.code === "IDL_NOT_OURS",
    );
    assert.deepEqual(await published(), [noise]);
  });
});

Deno.test("a first publication that was interrupted goes on where it stopped", test, async () => {
  await withLocalnet({}, async (chain) => {
    const { connection, wallet } = chain;
    const { programId, idl } = await deployed(chain, "coordinator");
    const options = { connection, payer: wallet, programId, idl };
    const interrupt = new AbortController();
    const onProgress = (done: number) => {
      if (done === 2) interrupt.abort();
    };
    await assert.rejects(publishIdl({ ...options, onProgress, signal: interrupt.signal }));
    const partial = (await readIdlAccount(connection, programId))!.data.length;
    assert.ok(partial > 0);
    let steps = 0;
    const { bytes } = await publishIdl({ ...options, onProgress: () => steps++ });
    assert.ok(partial + steps * 800 < bytes + 800, "nothing is written twice");
    assert.deepEqual(await fetchIdl(chain, programId), idl);
  });
});
