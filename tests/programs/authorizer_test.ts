/** docs/protocol/onchain-authorizer.md, against the built program. */
import assert from "node:assert/strict";
import { PublicKey, type TransactionInstruction } from "@solana/web3.js";
import * as authorizer from "../../lib/chain/authorizer.ts";
import { authorizationAddress } from "../../lib/chain/pda.ts";
import { assertError, Chain, key, Run } from "./harness.ts";

const DAY = 86_400n;

/** An authorization of `grantor` for `grantee`, created and nothing else. */
function authorization(scope?: Uint8Array) {
  const chain = new Chain();
  const [grantor, grantee, payer] = ["grantor", "grantee", "payer"].map((n) => chain.wallet(n));
  const address = authorizationAddress(chain.ids, grantor, grantee, scope);
  const create = authorizer.authorizationCreateInstruction({ payer, grantor, grantee, scope });
  chain.run(create);
  return {
    chain,
    grantor,
    grantee,
    payer,
    address,
    create,
    read: () => authorizer.decodeAuthorization(chain.data(address)),
    activate: (active: boolean) =>
      authorizer.authorizationGrantorUpdateInstruction({ grantor, authorization: address, active }),
    delegates: (delegatesClear: boolean, ...delegatesAdded: PublicKey[]) =>
      authorizer.authorizationGranteeUpdateInstruction({
        payer,
        grantee,
        authorization: address,
        delegatesClear,
        delegatesAdded,
      }),
    close: (spill = grantor) =>
      authorizer.authorizationCloseInstruction({ grantor, spill, authorization: address }),
  };
}

function withKey(
  instruction: TransactionInstruction,
  at: number,
  change: Partial<TransactionInstruction["keys"][number]>,
): TransactionInstruction {
  Object.assign(instruction.keys[at], change);
  return instruction;
}

Deno.test("authorizations are at the addresses of the vectors", () => {
  const { ids } = new Chain();
  const grantor = new PublicKey(new Uint8Array(32).fill(1));
  for (
    const [byte, address] of [
      [0, "7i6cbXVqahwHLEQmetfSnwz3FdckTxucZHNBczReh1Cv"],
      [2, "3Czay3sUYhBo56tHTS14WsRA3KnfHw3FAsN95BDbjLCj"],
    ] as const
  ) {
    const grantee = new PublicKey(new Uint8Array(32).fill(byte));
    assert.equal(authorizationAddress(ids, grantor, grantee).toBase58(), address);
    const chain = new Chain();
    chain.put(grantor, new Uint8Array(0), PublicKey.default, 10_000_000n);
    chain.run(authorizer.authorizationCreateInstruction({ payer: grantor, grantor, grantee }));
    assert.equal(chain.data(new PublicKey(address))[8], byte === 0 ? 255 : 254, "bump");
  }
});

Deno.test("a fresh authorization is inactive and laid out as specified", () => {
  const { chain, grantor, grantee, address, create, read } = authorization();
  const data = Buffer.from(chain.data(address));
  assert.equal(data.length, 108);
  assert.equal(data.subarray(0, 8).toString("hex"), "0344a8f3c3a8204b");
  assert.deepEqual(data.subarray(9, 41), Buffer.from(grantor.toBytes()));
  assert.deepEqual(data.subarray(41, 73), Buffer.from(grantee.toBytes()));
  assert.equal(data.subarray(73, 95).toString("latin1"), "\x12\0\0\0CoordinatorJoinRun");
  assert.deepEqual([...data.subarray(95)], Array(13).fill(0));
  assert.equal(chain.balance(address), 1_642_560n);
  assert.equal(read().active, false);
  assert.equal(chain.send(create).error, 0, "exists already");
  const wrong = withKey(create, 2, { pubkey: key("elsewhere") });
  assertError(chain.send(wrong), 2006, "ConstraintSeeds", "authorization");
});

Deno.test("an empty and the longest scope work, a longer one does not", () => {
  assert.equal(authorization(new Uint8Array(0)).chain !== undefined, true);
  const { create, chain, address } = authorization(new Uint8Array(32).fill(7));
  assert.equal(chain.data(address).length, 122);
  const data = Buffer.concat([
    create.data.subarray(0, 40),
    Buffer.from([33, 0, 0, 0]),
    Buffer.alloc(33),
  ]);
  create.data = data;
  assert.equal(chain.send(create).error, "ProgramFailedToComplete");
});

Deno.test("the grantor switches on and off, and only the grantor", () => {
  const { chain, activate, read } = authorization();
  chain.at(5_000n, 9n);
  chain.run(activate(true));
  assert.equal(read().active, true);
  assert.equal(read().grantorUpdateUnixTimestamp, 5_000n);
  const stranger = { pubkey: chain.wallet("stranger") };
  assertError(
    chain.send(withKey(activate(false), 0, stranger)),
    2003,
    "ConstraintRaw",
    "authorization",
  );
  assertError(
    chain.send(withKey(activate(false), 1, { isWritable: false })),
    2000,
    "ConstraintMut",
    "authorization",
  );
  const data = activate(false);
  data.data[8] = 2;
  assertError(chain.send(data), 102, "InstructionDidNotDeserialize");
  chain.run(activate(false));
  assert.equal(read().active, false);
});

Deno.test("the grantee's delegates grow and shrink the account, and rent follows", () => {
  const { chain, activate, delegates, read, address, payer } = authorization();
  chain.at(5_000n, 9n);
  chain.run(activate(true));
  const [a, b, c] = ["a", "b", "c"].map(key);
  const names = () => read().delegates.map((d) => d.toBase58());
  const total = () => chain.balance(address) + chain.balance(payer);
  const before = total();
  const rent = () => chain.svm.minimumBalanceForRentExemption(BigInt(chain.data(address).length));
  chain.run(delegates(false, a, b));
  assert.deepEqual(names(), [a, b].map(String));
  assert.equal(chain.data(address).length, 108 + 64);
  assert.equal(chain.balance(address), rent());
  chain.run(delegates(false, c, a));
  assert.deepEqual(names(), [a, b, c, a].map(String), "appended, nothing left out");
  chain.run(delegates(true, c));
  assert.deepEqual(names(), [c.toBase58()]);
  assert.equal(chain.data(address).length, 108 + 32);
  assert.equal(chain.balance(address), rent());
  chain.run(delegates(true, b));
  assert.deepEqual(names(), [b.toBase58()]);
  assert.equal(total(), before, "nothing is lost");
  assert.equal(read().active, true);
  assert.equal(read().grantorUpdateUnixTimestamp, 5_000n);
  const stranger = { pubkey: chain.wallet("stranger") };
  assertError(
    chain.send(withKey(delegates(true), 1, stranger)),
    2003,
    "ConstraintRaw",
    "authorization",
  );
  assertError(chain.send(withKey(delegates(true), 3, stranger)), 3008, "InvalidProgramId");
});

Deno.test("a long list of delegates is built up and cleared", () => {
  const { chain, delegates, address, read } = authorization();
  const added = Array.from({ length: 24 }, (_, i) => key(`delegate ${i}`));
  for (let i = 0; i < 14; i++) chain.run(delegates(false, ...added));
  assert.equal(read().delegates.length, 336);
  chain.run(delegates(true));
  assert.equal(chain.data(address).length, 108);
});

Deno.test("closing needs an inactive authorization without fresh delegates", () => {
  const { chain, grantor, activate, delegates, close, address } = authorization();
  chain.at(1_000_000n, 9n);
  chain.run(activate(true));
  assertError(chain.send(close()), 6000, "AuthorizationActiveIsTrue");
  chain.run(delegates(false, key("a")), activate(false));
  const early = "AuthorizationClosingConditionsNotReachedYet";
  assertError(chain.send(close()), 6001, early);
  chain.at(1_000_000n + 30n * DAY - 1n, 10n);
  assertError(chain.send(close()), 6001, early);
  const before = chain.balance(grantor);
  const rent = chain.balance(address);
  chain.at(1_000_000n + 30n * DAY, 10n);
  assertError(chain.send(withKey(close(), 1, { pubkey: address })), 3011, "AccountNotSystemOwned");
  assertError(
    chain.send(withKey(close(chain.wallet("spill")), 1, { isWritable: false })),
    2000,
    "ConstraintMut",
    "spill",
  );
  chain.run(close());
  assert.equal(chain.balance(grantor), before + rent);
  assert.equal(chain.data(address).length, 0);
  assertError(chain.send(close()), 3012, "AccountNotInitialized", "authorization");
});

Deno.test("closing works at once after the grantee emptied the list", () => {
  const { chain, activate, delegates, close } = authorization();
  chain.run(activate(true), delegates(false, key("a")), activate(false));
  assertError(chain.send(close()), 6001, "AuthorizationClosingConditionsNotReachedYet");
  chain.run(delegates(true));
  chain.run(close());
});

Deno.test("who may join: the grantee, its delegates, or everybody, while active", () => {
  const chain = new Chain();
  const run = new Run(chain).create().configure();
  chain.run(run.setPaused(false));
  const { owner: grantor, ids } = run;
  const [grantee, delegate, other] = ["grantee", "delegate", "other"].map((n) => chain.wallet(n));
  const address = authorizationAddress(ids, grantor, grantee);
  const join = (user: PublicKey) => chain.send(withKey(run.join(user), 1, { pubkey: address }));
  const refused = (user: PublicKey) =>
    assertError(join(user), 2003, "ConstraintRaw", "authorization");
  const activate = (active: boolean) =>
    chain.run(
      authorizer.authorizationGrantorUpdateInstruction({ grantor, authorization: address, active }),
    );
  const delegates = (delegatesClear: boolean, ...delegatesAdded: PublicKey[]) =>
    chain.run(authorizer.authorizationGranteeUpdateInstruction({
      payer: grantee,
      grantee,
      authorization: address,
      delegatesClear,
      delegatesAdded,
    }));
  chain.run(authorizer.authorizationCreateInstruction({ payer: grantor, grantor, grantee }));
  delegates(false, delegate);
  refused(grantee);
  refused(delegate);
  activate(true);
  assert.equal(join(grantee).error, null);
  assert.equal(join(delegate).error, null);
  refused(other);
  delegates(true, other);
  refused(delegate);
  assert.equal(join(other).error, null);
  activate(false);
  refused(other);
  assert.equal(chain.send(run.join(delegate)).error, null, "the authorization for everybody");
});
