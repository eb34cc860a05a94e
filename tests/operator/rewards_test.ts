/** A client takes part in an epoch, earns points, and claims them: at first more than there is. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Keypair, PublicKey } from "@solana/web3.js";
import { EVERYBODY } from "../../lib/chain/authorizer.ts";
import { closeConnection, openConnection } from "../../lib/chain/connection.ts";
import * as coordinator from "../../lib/chain/coordinator_instructions.ts";
import { authorizationAddress } from "../../lib/chain/pda.ts";
import { rpcRequest } from "../../lib/chain/rpc.ts";
import { sendInstructions } from "../../lib/chain/send.ts";
import { writeWallet } from "../../lib/chain/wallet.ts";
import { spawnLocalnet } from "../../lib/localnet/spawn.ts";
import { readRun } from "../../lib/operator/read_run.ts";
import { emptyBloom } from "../../lib/protocol/bloom.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { fund } from "../chain/chain_test_support.ts";
import { makeWorkspace, runScript } from "./script.ts";

Deno.test("rewards from an empty cluster to the client's wallet", async () => {
  const folder = await makeWorkspace();
  const localnet = await spawnLocalnet();
  const connection = openConnection({ rpcUrl: localnet.rpcUrl, wsUrl: localnet.wsUrl });
  const done = async (name: string, ...args: string[]) => {
    const { code, stdout, stderr } = await runScript(name, [...args, "--json"], folder);
    assert.equal(code, 0, `${name} ${args.join(" ")}: ${stdout}${stderr}`);
    return JSON.parse(stdout);
  };
  try {
    const [owner, client] = [Keypair.generate(), Keypair.generate()];
    await writeWallet(join(folder, "owner.json"), owner);
    await writeWallet(join(folder, "client.json"), client);
    const asOwner = ["-r", "paid", "--rpc", localnet.rpcUrl, "-w", "owner.json"];
    const asClient = ["-r", "paid", "-w", "client.json"];
    const prepared = await done("setup-run", ...asOwner, "--treasurer");
    await done("set-future-epoch-rates", "-r", "paid", "--earning-rate-total-shared", "25");
    await fund(connection, client.publicKey, 1);

    const dump = await done("json-info-dump", "-r", "paid");
    const record = JSON.parse(
      await Deno.readTextFile(
        join(folder, "runs", `localnet-${new URL(localnet.rpcUrl).port}`, "paid.json"),
      ),
    );
    assert.equal(record.mint, prepared.collateralMint);
    const ids = {
      authorizer: new PublicKey(record.programIds.authorizer),
      coordinator: new PublicKey(record.programIds.coordinator),
      treasurer: new PublicKey(record.programIds.treasurer),
    };
    const run = {
      ids,
      runId: "paid",
      coordinatorAccount: new PublicKey(dump.coordinator_account.address),
      user: client.publicKey,
    };
    const send = (label: string, instruction: ReturnType<typeof coordinator.tickInstruction>) =>
      sendInstructions({ connection, payer: client, label, instructions: [instruction] });
    const stateNow = async () => (await readRun({ connection, programIds: ids }, "paid")).state;
    await send(
      "Join",
      coordinator.joinRunInstruction({
        ...run,
        authorization: authorizationAddress(ids, owner.publicKey, EVERYBODY),
        p2pIdentity: Keypair.generate().publicKey.toBytes(),
      }),
    );
    // One epoch of one client: what its witnesses do not move on, time does.
    for (let state = await stateNow(), steps = 0; state.clientsState.clients[0].earned === 0n;) {
      assert.ok(steps++ < 60, "the epoch does not end");
      if (state.runState === RunState.RoundTrain) {
        await rpcRequest(connection, "localnet_skipTime", [2]);
        await send(
          "Witness",
          coordinator.witnessInstruction({
            ...run,
            proof: { position: 0n, index: 0n, witness: 1 },
            participantBloom: emptyBloom(),
            broadcastBloom: emptyBloom(),
            broadcastMerkle: new Uint8Array(32),
            metadata: {
              step: state.progress.step,
              tokensPerSecond: 1,
              bandwidthPerSecond: 1,
              loss: 1,
              evals: [],
              promptResults: [],
              promptIndex: 0,
              efficiency: 0,
            },
          }),
        );
      }
      await rpcRequest(connection, "localnet_skipTime", [31]);
      await send("Tick", coordinator.tickInstruction(run));
      state = await stateNow();
    }

    const limited = await done("treasurer-claim-rewards", ...asClient, "--max-claimed-points", "4");
    assert.deepEqual([limited.earnedPoints, limited.claimed.raw, limited.userAfter.raw], [
      25,
      4,
      4,
    ]);
    const first = await done("treasurer-claim-rewards", ...asClient);
    assert.deepEqual([first.claimed.raw, first.missing.raw, first.userAfter.raw], [6, 15, 10]);
    const none = await done("treasurer-claim-rewards", ...asClient);
    assert.deepEqual([none.claimed.raw, none.outcome], [0, null]);
    const short = (await done("json-info-dump", "-r", "paid")).treasurer_run;
    assert.deepEqual(
      [short.total_unclaimed_earned_points, short.total_missing_collateral_amount],
      [15, "15"],
    );
    await done("treasurer-top-up-rewards", "-r", "paid", "--collateral-amount", "65");
    const dry = await done("treasurer-claim-rewards", ...asClient, "--dry-run");
    assert.ok(dry.outcome.dryRun && dry.outcome.unitsConsumed > 0);
    const rest = await done("treasurer-claim-rewards", ...asClient);
    assert.deepEqual([rest.claimed.raw, rest.missing.raw, rest.userAfter.raw], [15, 0, 25]);
    const full = (await done("json-info-dump", "-r", "paid")).treasurer_run;
    assert.deepEqual(
      [full.total_surplus_collateral_amount, full.estimated_funded_epochs_count],
      ["50", 2],
    );
    const user = await done("json-dump-user", "-r", "paid", "--address", String(client.publicKey));
    assert.equal(user.coordinator_account.client.earned, 25);
    assert.equal(user.treasurer_participant.claimed_collateral_amount, "25");
  } finally {
    await closeConnection(connection);
    await localnet.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
