import assert from "node:assert/strict";
import { PublicKey } from "@solana/web3.js";
import { ClientState, RunState } from "../protocol/coordinator_state.ts";
import { emptyCoordinatorState } from "../protocol/empty_state.ts";
import { describeRun } from "./describe_run.ts";

const key = (byte: number) => new Uint8Array(32).fill(byte);
const address = (byte: number) => new PublicKey(key(byte)).toBase58();

/** Big integers as text, so that the comparison is exact. */
const asText = (value: unknown) =>
  JSON.stringify(value, (_key, entry) => typeof entry === "bigint" ? `${entry}n` : entry);

function run() {
  const state = emptyCoordinatorState("test", "v1");
  return {
    runId: "test",
    instance: new PublicKey(key(1)),
    coordinatorAccount: new PublicKey(key(2)),
    mainAuthority: new PublicKey(key(3)),
    joinAuthority: new PublicKey(key(4)),
    treasurer: null,
    state,
    slot: 1,
  };
}

Deno.test("the document has full keys, sums and the file's names; u64 values stay exact", () => {
  const described = run();
  const { state } = described;
  state.runState = RunState.RoundTrain;
  const identity = (byte: number) => ({ signer: key(byte), p2pIdentity: key(byte + 1) });
  state.epochState.clients = [{ id: identity(10), state: ClientState.Healthy, exitedHeight: 0 }];
  state.epochState.exitedClients = [
    { id: identity(20), state: ClientState.Dropped, exitedHeight: 3 },
  ];
  state.clientsState.clients = [
    { id: identity(10), earned: 2n ** 63n, slashed: 0n, active: 3n },
    { id: identity(20), earned: 7n, slashed: 5n, active: 2n },
  ];
  const { coordinator_account: account, coordinator_instance: instance } = JSON.parse(
    asText(describeRun(described)),
  );
  assert.deepEqual(instance, {
    address: address(1),
    join_authority: address(4),
    main_authority: address(3),
  });
  assert.equal(account.status.state, "Training");
  assert.deepEqual(account.epoch.clients, {
    alive: { [address(10)]: "Healthy" },
    exited: { [address(20)]: "Dropped" },
  });
  assert.equal(account.clients[address(10)].earned, "9223372036854775808n");
  assert.deepEqual(account.accounting, {
    max_active: "3n",
    sum_earned: "9223372036854775815n",
    sum_slashed: "5n",
  });
  assert.equal(account.setup.client_version, "v1");
  assert.equal(account.setup.config.epoch_time, "0n");
  assert.equal(account.setup.model.LLM.max_seq_len, "0n");
});

Deno.test("times that no TOML file can hold do not stop the dump", () => {
  const described = run();
  described.state.config.epochTime = 2n ** 64n - 1n;
  const { coordinator_account: account } = JSON.parse(asText(describeRun(described)));
  assert.ok(JSON.stringify(account.setup.config).includes("18446744073709551615"));
});
