/** docs/protocol/onchain-treasurer.md 4.4 and 5: claims, against the built programs. */
import assert from "node:assert/strict";
import { AccountLayout, createTransferInstruction, TOKEN_PROGRAM_ID } from "@solana/spl-token";
import type { PublicKey } from "@solana/web3.js";
import {
  authorizationCreateInstruction,
  authorizationGranteeUpdateInstruction,
  authorizationGrantorUpdateInstruction,
} from "../../lib/chain/authorizer.ts";
import { associatedTokenAddress, authorizationAddress } from "../../lib/chain/pda.ts";
import { treasurerId } from "../../lib/chain/programs.ts";
import { claimablePoints } from "../../lib/chain/treasurer.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { assertError, type Chain, key } from "./harness.ts";
import { assertPrecedence, wrong } from "./precedence.ts";
import { chainWithTreasurer, Collateral, RewardedRun } from "./rewarded_run.ts";

/** A resumed run whose epochs pay `rate`, with `names` as participants that have token accounts. */
function payingRun(names: string[], rate: bigint, config = {}) {
  const chain = chainWithTreasurer();
  const collateral = new Collateral(chain);
  const run = new RewardedRun(chain, collateral).create().configure(config);
  chain.run(run.update({ earningRateTotalShared: rate, paused: false }));
  const users = names.map((name) => participant(chain, run, name));
  return { chain, collateral, run, users };
}

function participant(chain: Chain, run: RewardedRun, name: string): PublicKey {
  const user = chain.wallet(name);
  run.collateral.accountOf(user);
  chain.run(run.createParticipant(user));
  return user;
}

/** What can be claimed, by the rule for clients. */
function claimable(run: RewardedRun, user: PublicKey): bigint {
  return claimablePoints({
    earned: run.earned(user) ?? 0n,
    claimed: run.readParticipant(user).claimedEarnedPoints,
    vault: run.collateral.balance(run.treasurerRun),
  });
}

Deno.test("points of several epochs are paid one to one, as far as the vault reaches", () => {
  const { chain, collateral, run, users: [a, b, c] } = payingRun(["A", "B", "C"], 900n);
  const stranger = participant(chain, run, "stranger");
  run.playEpoch([a, b, c]);
  assert.deepEqual([a, b, c].map((user) => run.earned(user)), [300n, 300n, 300n]);

  // Nothing in the vault yet: the transfer fails, and nothing is counted.
  assert.equal(claimable(run, a), 0n);
  assert.equal(chain.send(run.claim(a, 300n)).error, 1, "insufficient funds");
  assert.equal(run.readParticipant(a).claimedEarnedPoints, 0n);
  chain.run(run.claim(a, 0n));

  // Partial funding: 450 of 900.
  collateral.mintTo(run.treasurerRun, 450n);
  assertError(chain.send(run.claim(a, 301n)), 6000, "InvalidParameter");
  chain.run(run.claim(a, 100n), run.claim(a, 200n));
  assert.equal(collateral.balance(a), 300n);
  assertError(chain.send(run.claim(a, 1n)), 6000, "InvalidParameter");
  assert.equal(chain.send(run.claim(b, 151n)).error, 1);
  assert.equal(claimable(run, b), 150n);
  chain.run(run.claim(b, 150n));
  assert.equal(claimable(run, c), 0n);

  // A new rate counts from the next epoch on; what does not divide is lost: 1000 / 3.
  chain.run(run.update({ earningRateTotalShared: 1_000n, slashingRatePerClient: 50n }));
  run.playEpoch([a, b, c]);
  assert.deepEqual([a, b, c].map((user) => run.earned(user)), [633n, 633n, 633n]);
  // C leaves; two share the third epoch.
  run.playEpoch([a, b]);
  assert.deepEqual([a, b, c].map((user) => run.earned(user)), [1_133n, 1_133n, 633n]);

  // A top-up is a plain transfer by anybody.
  const funder = chain.wallet("funder");
  collateral.mintTo(funder, 10_000n);
  const { collateralAccount } = run.readTreasurer();
  chain.run(createTransferInstruction(
    associatedTokenAddress(funder, collateral.mint),
    collateralAccount,
    funder,
    10_000n,
  ));
  assert.deepEqual([a, b, c].map((user) => claimable(run, user)), [833n, 983n, 633n]);
  for (const user of [a, b, c]) chain.run(run.claim(user, claimable(run, user)));
  assert.deepEqual([a, b, c].map((user) => collateral.balance(user)), [1_133n, 1_133n, 633n]);
  for (const user of [a, b, c]) {
    const { claimedCollateralAmount, claimedEarnedPoints } = run.readParticipant(user);
    assert.equal(claimedEarnedPoints, run.earned(user));
    assert.equal(claimedCollateralAmount, run.earned(user));
  }
  const paid = 1_133n + 1_133n + 633n;
  assert.equal(run.readTreasurer().totalClaimedCollateralAmount, paid);
  assert.equal(run.readTreasurer().totalClaimedEarnedPoints, paid);
  assert.equal(collateral.balance(run.treasurerRun), 10_450n - paid);

  // Who never joined has no points; 0 can be claimed all the same.
  chain.run(run.claim(stranger, 0n));
  assertError(chain.send(run.claim(stranger, 1n)), 6000, "InvalidParameter");
});

Deno.test("eleven delegates of one authorization share 888888888888888", () => {
  const count = 11;
  const { chain, collateral, run } = payingRun([], 888_888_888_888_888n, {
    initMinClients: count,
    minClients: count,
    globalBatchSizeStart: 16,
    globalBatchSizeEnd: 16,
  });
  const { ids, owner } = run;
  const grantee = chain.wallet("grantee");
  const authorization = authorizationAddress(ids, owner, grantee);
  const users = Array.from({ length: count }, (_, i) => participant(chain, run, `delegate ${i}`));
  chain.run(
    authorizationCreateInstruction({ ids, payer: owner, grantor: owner, grantee }),
    authorizationGrantorUpdateInstruction({ ids, grantor: owner, authorization, active: true }),
    authorizationGranteeUpdateInstruction({
      ids,
      payer: grantee,
      grantee,
      authorization,
      delegatesClear: false,
      delegatesAdded: users,
    }),
  );
  run.playEpoch(users, authorization);
  const share = 888_888_888_888_888n / 11n;
  collateral.mintTo(run.treasurerRun, 888_888_888_888_888n);
  for (const user of users) {
    assertError(chain.send(run.claim(user, share + 1n)), 6000, "InvalidParameter");
    chain.run(run.claim(user, share));
    assert.equal(collateral.balance(user), share);
  }
  assert.equal(collateral.balance(run.treasurerRun), 888_888_888_888_888n - 11n * share);
});

Deno.test("240 clients that share 444444 can each claim 1851", () => {
  const count = 240;
  const { chain, collateral, run } = payingRun([], 444_444n, {
    initMinClients: count,
    minClients: count,
    witnessNodes: 0,
    roundWitnessTime: 10n,
    cooldownTime: 88n,
    globalBatchSizeEnd: 1000,
    globalBatchSizeWarmupTokens: 1n << 40n,
  });
  const users = Array.from({ length: count }, (_, i) => chain.wallet(`user ${i}`));
  run.playEpoch(users);
  collateral.mintTo(run.treasurerRun, 444_444n);
  let units = 0;
  for (const user of [users[0], users[120], users[239]]) {
    participant(chain, run, `user ${users.indexOf(user)}`);
    assertError(chain.send(run.claim(user, 1_852n)), 6000, "InvalidParameter");
    units = Math.max(units, chain.run(run.claim(user, 1_851n)).units);
    assert.equal(collateral.balance(user), 1_851n);
  }
  console.log("compute units of a claim at most:", units);
  assert.ok(units < 60_000);
});

Deno.test("an epoch that a pause cuts short pays nobody, and what was earned stays claimable", () => {
  const { chain, collateral, run, users } = payingRun(["A", "B"], 100n);
  collateral.mintTo(run.treasurerRun, 1_000n);
  run.playEpoch(users);
  for (const user of users) chain.run(run.join(user));
  chain.at(chain.time + 3n, chain.slot + 6n);
  chain.run(run.tick());
  chain.run(run.setPaused(true));
  for (const seconds of [10n, 15n, 10n]) {
    if (run.state().runState === RunState.Paused) break;
    chain.at(chain.time + seconds, chain.slot + 2n * seconds);
    chain.run(run.tick());
  }
  assert.equal(run.state().runState, RunState.Paused);
  assert.deepEqual(users.map((user) => run.earned(user)), [50n, 50n]);
  for (const user of users) chain.run(run.claim(user, 50n));
});

Deno.test("participant_claim refuses in the order of the framework", () => {
  const { chain, collateral, run, users: [user, other] } = payingRun(["A", "B"], 100n);
  run.playEpoch([user, other]);
  const treasurer = treasurerId(run.ids);
  const elsewhere = new RewardedRun(chain, new Collateral(chain, "another"), "other").create();
  const put = (name: string, data: Uint8Array, owner: PublicKey) => {
    chain.put(key(name), data, owner);
    return key(name);
  };
  const token = (name: string, owner: PublicKey, change = {}) => {
    const data = Buffer.alloc(165);
    AccountLayout.encode({
      mint: collateral.mint,
      owner,
      amount: 1_000n,
      delegateOption: 0,
      delegate: user,
      state: 1,
      isNativeOption: 0,
      isNative: 0n,
      delegatedAmount: 0n,
      closeAuthorityOption: 0,
      closeAuthority: user,
      ...change,
    }, data);
    return put(name, data, TOKEN_PROGRAM_ID);
  };
  const foreign = put("of another program", new Uint8Array(200), key("another program"));
  const short = put("short token account", new Uint8Array(164), TOKEN_PROGRAM_ID);
  const fresh = put("fresh token account", new Uint8Array(165), TOKEN_PROGRAM_ID);
  const absent = key("nobody");
  const faultyToken = (position: number, account: string) => [
    wrong(position, absent, [3012, "AccountNotInitialized", account]),
    wrong(position, foreign, [3007, "AccountOwnedByWrongProgram", account]),
    wrong(position, short, ["InvalidAccountData"]),
    wrong(position, token(`${account} in no state`, user, { state: 3 }), ["InvalidAccountData"]),
    wrong(position, token(`${account} with a tag of 2`, user, { closeAuthorityOption: 2 }), [
      "InvalidAccountData",
    ]),
    wrong(position, fresh, ["UninitializedAccount"]),
  ];
  const participantOf = (who: PublicKey) => run.claim(who, 0n).keys[5].pubkey;
  const notForClaim = (address: PublicKey) =>
    wrong(1, address, [2003, "ConstraintRaw", "user_collateral"]);
  collateral.mintTo(run.treasurerRun, 49n);
  const make = () => [run.claim(user, 49n)];
  assertPrecedence(chain, make, [
    {
      apply: (instruction) => instruction.data = instruction.data.subarray(0, 15),
      error: 102,
      name: "InstructionDidNotDeserialize",
    },
    wrong(0, { isSigner: false }, [3010, "AccountNotSigner", "user"]),
    ...faultyToken(1, "user_collateral"),
    wrong(2, absent, [3012, "AccountNotInitialized", "run"]),
    wrong(2, foreign, [3007, "AccountOwnedByWrongProgram", "run"]),
    wrong(2, participantOf(other), [3002, "AccountDiscriminatorMismatch", "run"]),
    ...faultyToken(3, "run_collateral"),
    wrong(4, foreign, [3007, "AccountOwnedByWrongProgram", "coordinator_account"]),
    wrong(4, run.instance, [3002, "AccountDiscriminatorMismatch", "coordinator_account"]),
    wrong(5, absent, [3012, "AccountNotInitialized", "participant"]),
    wrong(5, foreign, [3007, "AccountOwnedByWrongProgram", "participant"]),
    wrong(5, run.treasurerRun, [3002, "AccountDiscriminatorMismatch", "participant"]),
    wrong(5, put("cut off", Buffer.from("208e6c4ff7b33606" + "00".repeat(16), "hex"), treasurer), [
      3003,
      "AccountDidNotDeserialize",
      "participant",
    ]),
    wrong(6, run.ids.authorizer, [3008, "InvalidProgramId", "token_program"]),
    wrong(1, { isWritable: false }, [2000, "ConstraintMut", "user_collateral"]),
    notForClaim(token("of another mint", user, { mint: elsewhere.collateral.mint })),
    notForClaim(associatedTokenAddress(other, collateral.mint)),
    notForClaim(token("with a delegate", user, { delegateOption: 1 })),
    wrong(2, { isWritable: false }, [2000, "ConstraintMut", "run"]),
    wrong(4, elsewhere.account, [2003, "ConstraintRaw", "run"]),
    wrong(3, associatedTokenAddress(user, collateral.mint), [
      2015,
      "ConstraintTokenOwner",
      "run_collateral",
    ]),
    wrong(3, token("another vault", run.treasurerRun), [
      2009,
      "ConstraintAssociated",
      "run_collateral",
    ]),
    wrong(3, { isWritable: false }, [2000, "ConstraintMut", "run_collateral"]),
    wrong(5, participantOf(other), [2006, "ConstraintSeeds", "participant"]),
    wrong(5, { isWritable: false }, [2000, "ConstraintMut", "participant"]),
    { apply: ({ data }) => data.fill(51, 8, 9), error: 6000, name: "InvalidParameter" },
    { apply: ({ data }) => data.fill(50, 8, 9), error: 1 },
  ]);
});

Deno.test("a claim from another run fails, and so do unreadable coordinator accounts", () => {
  const { chain, collateral, run, users: [user] } = payingRun(["A", "B"], 100n);
  const other = new RewardedRun(chain, collateral, "other").create();
  collateral.mintTo(other.treasurerRun, 100n);
  const claim = run.claim(user, 0n);
  claim.keys[2].pubkey = other.treasurerRun;
  assertError(chain.send(claim), 2003, "ConstraintRaw", "run");

  const account = Buffer.from(chain.data(run.account));
  account[8] = 2;
  chain.put(run.account, account, run.ids.coordinator);
  const result = chain.send(run.claim(user, 0n));
  assertError(result, 2003, "ConstraintRaw", "coordinator_account");
  account[8] = 1;
  chain.put(run.account, account.subarray(0, 119_159), run.ids.coordinator);
  assert.equal(chain.send(run.claim(user, 0n)).error, "ProgramFailedToComplete");
  // What stands behind the end of the list does not count.
  const stranger = participant(chain, run, "stranger");
  account.set(stranger.toBytes(), 94_424);
  account.writeBigUInt64LE(5n, 94_424 + 72);
  chain.put(run.account, account, run.ids.coordinator);
  collateral.mintTo(run.treasurerRun, 1n);
  assertError(chain.send(run.claim(stranger, 1n)), 6000, "InvalidParameter");
  account.writeBigUInt64LE(1n, 119_000);
  chain.put(run.account, account, run.ids.coordinator);
  chain.run(run.claim(stranger, 1n));
  // Earned less than claimed: cannot happen, and stops the program.
  chain.put(run.account, account, run.ids.coordinator);
  const { address } = run.readParticipant(user);
  const claimed = Buffer.from(chain.data(address));
  claimed[17] = 1;
  chain.put(address, claimed, treasurerId(run.ids));
  assert.equal(chain.send(run.claim(user, 0n)).error, "ProgramFailedToComplete");
});
