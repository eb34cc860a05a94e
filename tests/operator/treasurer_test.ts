/** The treasurer on a cluster: deployed beside its coordinator, then driven over JSON-RPC. */
import assert from "node:assert/strict";
import { createAssociatedTokenAccount, createMint } from "@solana/spl-token";
import { Keypair, type PublicKey } from "@solana/web3.js";
import { fetchCoordinator, fetchCoordinatorInstance } from "../../lib/chain/coordinator_reader.ts";
import { treasurerProgram } from "../../lib/chain/programs.ts";
import { sendInstructions } from "../../lib/chain/send.ts";
import * as treasurer from "../../lib/chain/treasurer.ts";
import { PsycheError } from "../../lib/error.ts";
import { spawnLocalnet } from "../../lib/localnet/spawn.ts";
import { airdropUpTo } from "../../lib/operator/airdrop.ts";
import { closeOperator, openOperator, openReader } from "../../lib/operator/context.ts";
import { deployPrograms } from "../../lib/operator/deploy_programs.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { parseRunConfig } from "../../lib/protocol/run_config.ts";

const read = (path: string) => Deno.readFile(new URL(`../../${path}`, import.meta.url));

// web3.js keeps its HTTP agent's sockets open: nothing of the localnet's.
const options = { sanitizeResources: false, sanitizeOps: false };

Deno.test("a treasurer from its deployment to a refused claim", options, async () => {
  const folder = await Deno.makeTempDir();
  const localnet = await spawnLocalnet();
  const payer = Keypair.generate();
  const cluster = {
    rpc: localnet.rpcUrl,
    wsRpc: localnet.wsUrl,
    runsDirectory: `${folder}/runs`,
  };
  const context = await openOperator({ ...cluster, payer, keysDirectory: `${folder}/keys` });
  const { connection } = context;
  try {
    await airdropUpTo(connection, payer.publicKey, 100e9);
    const program = async (name: string) => ({ so: await read(`programs/${name}.so`) });
    const [authorizer, coordinator] = [await program("authorizer"), await program("coordinator")];

    // First without, then with a treasurer; its record survives a deployment without it.
    await deployPrograms(context, { programs: { authorizer, coordinator } });
    const redeploy = async (withTreasurer: boolean) => {
      const reader = await openReader(cluster);
      const programs = withTreasurer
        ? { authorizer, coordinator, treasurer: await program("treasurer") }
        : { authorizer, coordinator };
      const { programIds } = reader;
      await closeOperator(reader);
      const result = await deployPrograms({ ...context, programIds }, { programs });
      return result.programs.map(({ name, action }) => `${name} ${action}`);
    };
    const unchanged = ["authorizer unchanged", "coordinator unchanged"];
    assert.deepEqual(await redeploy(true), [...unchanged, "treasurer deploy"]);
    assert.deepEqual(await redeploy(true), [...unchanged, "treasurer unchanged"]);
    assert.deepEqual(await redeploy(false), unchanged);
    const reader = await openReader(cluster);
    const ids = reader.programIds;
    await closeOperator(reader);
    assert.notEqual(ids.treasurer!.toBase58(), context.programIds.treasurer!.toBase58());

    const owner = payer.publicKey;
    const account = Keypair.generate();
    const mint = await createMint(connection, payer, owner, null, 0);
    const run = { ids, runId: "rewarded", coordinatorAccount: account.publicKey };
    const send = (
      label: string,
      instructions: Parameters<typeof sendInstructions>[0]["instructions"],
      ...signers: Keypair[]
    ) => sendInstructions({ connection, payer, label, instructions, signers });
    const code = async (promise: Promise<unknown>) => {
      const error = await promise.then(() => undefined, (error) => error);
      assert.ok(error instanceof PsycheError, String(error));
      return error.code;
    };

    assert.equal(await treasurer.fetchTreasurerRun(connection, run), null);
    const create = treasurer.runCreateInstructions({
      ...run,
      payer: owner,
      collateralMint: mint,
      clientVersion: "test",
      mainAuthority: owner,
      joinAuthority: owner,
      rentLamports: await connection.getMinimumBalanceForRentExemption(119_160),
    });
    await send("Create run", create, account);
    const found = await treasurer.fetchTreasurerRun(connection, run);
    assert.ok(found!.mainAuthority.equals(owner) && found!.collateralMint.equals(mint));
    const instance = await fetchCoordinatorInstance(connection, ids, run.runId);
    assert.ok(instance.mainAuthority.equals(found!.address), "the treasurer owns the run");
    const vault = await connection.getTokenAccountBalance(found!.collateralAccount);
    assert.equal(vault.value.amount, "0");

    const toml = new TextDecoder().decode(await read("config/solana-test/nano-config.toml"));
    const { config, model } = parseRunConfig(toml, "nano");
    const update = { ...run, authority: owner };
    await send("Configure", [
      treasurer.runUpdateInstruction({ ...update, config, model, earningRateTotalShared: 10n }),
    ]);
    await send("Resume", [treasurer.runUpdateInstruction({ ...update, paused: false })]);
    const { state } = await fetchCoordinator(connection, account.publicKey);
    assert.equal(state.runState, RunState.WaitingForMembers);
    assert.equal(state.clientsState.futureEpochRates.earningRateTotalShared, 10n);

    const user = { ...run, user: owner };
    assert.equal(await treasurer.fetchParticipant(connection, user), null);
    await send("Take part", [treasurer.participantCreateInstruction({ ...user, payer: owner })]);
    const participant = await treasurer.fetchParticipant(connection, user);
    assert.equal(participant!.claimedEarnedPoints, 0n);
    const claim = (claimEarnedPoints: bigint) =>
      send("Claim", [
        treasurer.participantClaimInstruction({ ...user, collateralMint: mint, claimEarnedPoints }),
      ]);
    assert.equal(await code(claim(0n)), "AccountNotInitialized");
    await createAssociatedTokenAccount(connection, payer, mint, owner);
    await claim(0n);
    assert.equal(await code(claim(1n)), "InvalidParameter");

    // Anchor's own client reads the same accounts.
    const accounts = treasurerProgram(connection, ids).account as Record<
      string,
      { fetch(key: PublicKey): Promise<{ index: { toString(): string } }> }
    >;
    const byAnchor = await accounts.run.fetch(found!.address);
    assert.equal(byAnchor.index.toString(), found!.index.toString());
  } finally {
    await closeOperator(context);
    await localnet.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
