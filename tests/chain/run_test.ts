import assert from "node:assert/strict";
import { Keypair, type PublicKey } from "@solana/web3.js";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { PsycheError } from "../../lib/error.ts";
import {
  authorizationCreateInstruction,
  authorizationGrantorUpdateInstruction,
  EVERYBODY,
} from "../../lib/chain/authorizer.ts";
import * as coordinator from "../../lib/chain/coordinator_instructions.ts";
import { fetchCoordinator, fetchCoordinatorInstance } from "../../lib/chain/coordinator_reader.ts";
import { bindProgramIds, deployProgram } from "../../lib/chain/deploy.ts";
import { authorizationAddress } from "../../lib/chain/pda.ts";
import { coordinatorProgram } from "../../lib/chain/programs.ts";
import { sendInstructions, simulateInstructions } from "../../lib/chain/send.ts";
import { watchCoordinator } from "../../lib/chain/watch_coordinator.ts";
import { parseRunConfig } from "../../lib/protocol/run_config.ts";
import { PROGRAMS, withLocalnet } from "./chain_test_support.ts";

const nanoConfig = new URL("../../config/solana-test/nano-config.toml", import.meta.url);

Deno.test("a run from deployment to its end, under freshly bound program ids", async () => {
  await withLocalnet({ clockRate: 20 }, async ({ connection, wallet }) => {
    const authorizerKey = Keypair.generate();
    const coordinatorKey = Keypair.generate();
    const ids = { authorizer: authorizerKey.publicKey, coordinator: coordinatorKey.publicKey };
    const file = (name: string) => Deno.readFile(new URL(name, PROGRAMS));
    const deploy = { connection, payer: wallet, authority: wallet };
    await deployProgram({
      ...deploy,
      so: bindProgramIds(await file("authorizer.so"), [ids.authorizer]),
      program: authorizerKey,
    });
    await deployProgram({
      ...deploy,
      so: bindProgramIds(await file("coordinator.so"), [ids.coordinator, ids.authorizer]),
      program: coordinatorKey,
    });

    const owner = wallet.publicKey;
    const runId = "chain-test";
    const account = Keypair.generate();
    const run = { ids, runId, coordinatorAccount: account.publicKey };
    const send = (
      label: string,
      instructions: Parameters<typeof sendInstructions>[0]["instructions"],
      signers: Keypair[] = [],
    ) => sendInstructions({ connection, payer: wallet, label, instructions, signers });
    const code = async (promise: Promise<unknown>) => {
      const error = await promise.then(() => undefined, (error) => error);
      assert.ok(error instanceof PsycheError, String(error));
      return error.code;
    };

    const rentLamports = await connection.getMinimumBalanceForRentExemption(
      coordinator.COORDINATOR_ACCOUNT_BYTES,
    );
    const create = coordinator.initCoordinatorInstructions({
      ...run,
      payer: owner,
      clientVersion: "test",
      mainAuthority: owner,
      joinAuthority: owner,
      rentLamports,
    });
    const dryRun = await simulateInstructions({
      connection,
      payer: wallet,
      label: "Create run",
      instructions: create,
      signers: [account],
    });
    assert.ok(dryRun.changes.some(({ words }) => words.endsWith("created, 119160 bytes")));
    await send("Create run", create, [account]);
    assert.equal(await code(send("Create run", create, [account])), "ACCOUNT_ALREADY_IN_USE");

    const instance = await fetchCoordinatorInstance(connection, ids, runId);
    assert.ok(instance.coordinatorAccount.equals(account.publicKey));
    assert.ok(instance.mainAuthority.equals(owner) && instance.joinAuthority.equals(owner));
    const { state } = await fetchCoordinator(connection, account.publicKey);
    assert.equal(state.runState, RunState.Uninitialized);
    assert.equal(state.runId, runId);
    assert.equal(state.clientVersion, "test");

    // The same through Anchor's own client.
    const program = coordinatorProgram(connection, ids);
    const tickByAnchor = await program.methods.tick()
      .accounts({
        user: owner,
        coordinatorInstance: instance.address,
        coordinatorAccount: account.publicKey,
      })
      .instruction();
    assert.deepEqual(tickByAnchor, coordinator.tickInstruction({ ...run, user: owner }));
    const accounts = program.account as Record<string, { fetch(key: PublicKey): Promise<unknown> }>;
    const fetched = await accounts.coordinatorInstance.fetch(instance.address) as {
      runId: string;
      mainAuthority: PublicKey;
    };
    assert.equal(fetched.runId, runId);
    assert.ok(fetched.mainAuthority.equals(owner));

    const seen: number[] = [];
    const nonces: bigint[] = [];
    const stop = new AbortController();
    const watch = watchCoordinator(connection, account.publicKey, {
      signal: stop.signal,
      onState: ({ runState, nonce }) => {
        if (seen.at(-1) !== runState) seen.push(runState);
        nonces.push(nonce);
      },
    });

    watch.catch(() => {}); // looked at in the end

    const { config, model } = parseRunConfig(await Deno.readTextFile(nanoConfig), "nano");
    await send("Update", [
      coordinator.updateInstruction({ ...run, authority: owner, config, model }),
    ]);
    const after = (await fetchCoordinator(connection, account.publicKey)).state;
    assert.deepEqual(after.config, config);
    assert.deepEqual(after.model.optimizer.kind, model.optimizer.kind);
    const paused = (value: boolean) =>
      coordinator.setPausedInstruction({ ...run, authority: owner, paused: value });
    await send("Resume", [paused(false)]);
    assert.equal(await code(send("Resume", [paused(false)])), "CoordinatorErrorCannotResume");

    const authorization = authorizationAddress(ids, owner, EVERYBODY);
    const join = coordinator.joinRunInstruction({
      ...run,
      user: owner,
      authorization,
      p2pIdentity: Keypair.generate().publicKey.toBytes(),
    });
    assert.equal(await code(send("Join run", [join])), "AccountNotInitialized");
    await send("Authorize", [
      authorizationCreateInstruction({ ids, payer: owner, grantor: owner, grantee: EVERYBODY }),
    ]);
    assert.equal(await code(send("Join run", [join])), "ConstraintRaw");
    await send("Activate", [
      authorizationGrantorUpdateInstruction({ ids, grantor: owner, authorization, active: true }),
    ]);
    await send("Join run", [join]);

    const tick = coordinator.tickInstruction({ ...run, user: owner });
    while (!seen.includes(RunState.Warmup)) {
      await send("Tick", [tick]);
      await new Promise((go) => setTimeout(go, 60));
    }
    await send("Pause", [paused(true)]);
    assert.equal(await code(send("Tick", [tick])), "CoordinatorErrorHalted");
    await send("Close run", [
      coordinator.freeCoordinatorInstruction({ ...run, authority: owner }),
    ]);
    assert.equal(await code(watch), "RUN_CLOSED");
    stop.abort();
    assert.deepEqual(seen, [
      RunState.Uninitialized,
      RunState.WaitingForMembers,
      RunState.Warmup,
      RunState.Paused,
    ]);
    assert.deepEqual(nonces, [...nonces].sort((a, b) => Number(a - b)));
    assert.equal(await code(fetchCoordinatorInstance(connection, ids, runId)), "RUN_NOT_FOUND");
  });
});
