import assert from "node:assert/strict";
import anchor, { BorshAccountsCoder } from "@coral-xyz/anchor";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { PublicKey } from "@solana/web3.js";
import { PsycheError } from "../error.ts";
import * as authorizer from "./authorizer.ts";
import { JOIN_SCOPE } from "./pda.ts";
import { authorizerIdl } from "./programs.ts";

const key = (byte: number) => new PublicKey(new Uint8Array(32).fill(byte));
const x = (byte: string) => byte.repeat(32);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const [grantor, user, stranger] = [key(1), key(2), key(3)];

Deno.test("instruction data, with accounts in order", () => {
  const create = authorizer.authorizationCreateInstruction({
    payer: key(9),
    grantor,
    grantee: authorizer.EVERYBODY,
  });
  assert.equal(
    hex(create.data),
    `149dc4b3e7df6d66${x("00")}12000000436f6f7264696e61746f724a6f696e52756e`,
  );
  assert.deepEqual(
    create.keys.map(({ pubkey, isSigner, isWritable }) => [
      pubkey.toBase58(),
      isWritable,
      isSigner,
    ]),
    [
      [key(9).toBase58(), true, true],
      [grantor.toBase58(), false, true],
      ["7i6cbXVqahwHLEQmetfSnwz3FdckTxucZHNBczReh1Cv", true, false],
      ["11111111111111111111111111111111", false, false],
    ],
  );
  const authorization = key(7);
  assert.equal(
    hex(
      authorizer.authorizationGrantorUpdateInstruction({ grantor, authorization, active: true })
        .data,
    ),
    "1d7441a161bd3af901",
  );
  assert.equal(
    hex(
      authorizer.authorizationGranteeUpdateInstruction({
        payer: user,
        grantee: user,
        authorization,
        delegatesClear: true,
        delegatesAdded: [stranger],
      }).data,
    ),
    `ba6f7fc75990c1430101000000${x("03")}`,
  );
  const close = authorizer.authorizationCloseInstruction({ grantor, spill: user, authorization });
  assert.equal(hex(close.data), "81d0f820c8855717");
});

Deno.test("decoding agrees with Anchor's coder, and refuses what is cut off", async () => {
  const coder = new BorshAccountsCoder(authorizerIdl);
  const seed = Date.now() & 0x7fffffff;
  console.log(`seed ${seed}`);
  const keys = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((b) => new PublicKey(b));
  const account = fc.record({
    bump: fc.nat(255),
    grantor: keys,
    grantee: keys,
    scope: fc.uint8Array({ maxLength: 32 }),
    active: fc.boolean(),
    delegates: fc.array(keys, { maxLength: 5 }),
    grantorUpdateUnixTimestamp: fc.bigInt({ min: 0n, max: 1n << 40n }),
  });
  await fc.assert(
    fc.asyncProperty(account, fc.nat(), async (value, cut) => {
      const data = await coder.encode("Authorization", {
        ...value,
        scope: Buffer.from(value.scope),
        grantor_update_unix_timestamp: new anchor.BN(value.grantorUpdateUnixTimestamp.toString()),
      });
      assert.equal(data.length, 90 + value.scope.length + 32 * value.delegates.length);
      const decoded = authorizer.decodeAuthorization(data);
      const words = ({ scope, ...rest }: authorizer.Authorization) =>
        JSON.stringify({ ...rest, scope: hex(scope), grantorUpdateUnixTimestamp: 0 });
      assert.equal(words(decoded), words(value));
      assert.equal(decoded.grantorUpdateUnixTimestamp, value.grantorUpdateUnixTimestamp);
      assert.throws(
        () => authorizer.decodeAuthorization(data.subarray(0, cut % data.length)),
        PsycheError,
      );
    }),
    { seed, numRuns: 100 },
  );
});

Deno.test("who may use an authorization", () => {
  const base = {
    bump: 1,
    grantor,
    grantee: user,
    scope: JOIN_SCOPE,
    active: true,
    delegates: [] as PublicKey[],
    grantorUpdateUnixTimestamp: 0n,
  };
  const valid = (change: Partial<typeof base>, who = user) =>
    authorizer.isAuthorizationValidFor({ ...base, ...change }, grantor, who);
  assert.ok(valid({}));
  assert.ok(!valid({}, stranger));
  assert.ok(!valid({ active: false }));
  assert.ok(!valid({ grantor: stranger }));
  assert.ok(!valid({ scope: JOIN_SCOPE.subarray(1) }));
  assert.ok(!valid({ scope: new Uint8Array(18) }));
  assert.ok(valid({ grantee: authorizer.EVERYBODY }, stranger));
  assert.ok(valid({ delegates: [stranger] }, stranger));
});
