import assert from "node:assert/strict";
import anchor, { BorshAccountsCoder } from "@coral-xyz/anchor";
import { Buffer } from "node:buffer";
import { type AccountInfo, Connection, PublicKey } from "@solana/web3.js";
import fc from "fast-check";
import { PsycheError } from "../error.ts";
import { seed } from "../protocol/property_seed.ts";
import {
  associatedTokenAddress,
  coordinatorInstanceAddress,
  participantAddress,
  treasurerIndex,
  treasurerRunAddress,
} from "./pda.ts";
import { defaultProgramIds, treasurerIdl, treasurerProgram } from "./programs.ts";
import * as treasurer from "./treasurer.ts";

const key = (byte: number) => new PublicKey(new Uint8Array(32).fill(byte));
const x = (byte: string) => byte.repeat(32);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const code = (expected: string) => (error: unknown) =>
  error instanceof PsycheError && error.code === expected;

const ids = defaultProgramIds();
const run = { runId: "test", coordinatorAccount: key(9) };
const [payer, user, mint] = [key(1), key(2), key(3)];
const treasurerRun = treasurerRunAddress(ids, treasurerIndex("test"));
const create = {
  ...run,
  payer,
  collateralMint: mint,
  clientVersion: "v1",
  mainAuthority: key(4),
  joinAuthority: key(5),
  rentLamports: 830_244_480,
};

Deno.test("instruction data of the specification's layouts", () => {
  const derived = Buffer.alloc(8);
  derived.writeBigUInt64LE(treasurerIndex("test"));
  const [, runCreate] = treasurer.runCreateInstructions(create);
  assert.equal(
    hex(runCreate.data),
    `c638a3f70e3aa7fd${hex(derived)}0400000074657374020000007631${x("04")}${x("05")}`,
  );
  const update = { ...run, authority: payer };
  assert.equal(
    hex(treasurer.runUpdateInstruction(update).data),
    "33562e740d42149d0000000000000000",
  );
  assert.equal(
    hex(
      treasurer.runUpdateInstruction({
        ...update,
        progress: { epoch: 1, step: 2, epochStartDataIndex: 3n },
        earningRateTotalShared: 4n,
        paused: false,
        clientVersion: "v",
      }).data,
    ),
    "33562e740d42149d" + "000000" + "01" + "0100" + "02000000" + "0300000000000000" +
      "01" + "0400000000000000" + "00" + "0100" + "01" + "0100000076",
  );
  const participant = treasurer.participantCreateInstruction({ ...run, payer, user });
  assert.equal(hex(participant.data), "32b18e2875b046b5");
  const claim = { ...run, user, collateralMint: mint, claimEarnedPoints: 258n };
  assert.equal(
    hex(treasurer.participantClaimInstruction(claim).data),
    "a096e8563b6bad260201000000000000",
  );
});

Deno.test("accounts come in the order and with the flags of the specification", () => {
  const vault = associatedTokenAddress(treasurerRun, mint);
  const participant = participantAddress(ids, treasurerRun, user);
  const instance = coordinatorInstanceAddress(ids, "test");
  const token = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
  const shown = (instruction: { keys: AccountMetas }) =>
    instruction.keys.map(({ pubkey, isWritable, isSigner }) =>
      `${isWritable ? "w" : "-"}${isSigner ? "s" : "-"} ${pubkey.toBase58()}`
    );
  const at = (flags: string, address: PublicKey | string) => `${flags} ${address}`;
  assert.deepEqual(shown(treasurer.runCreateInstructions(create)[1]), [
    at("ws", payer),
    at("w-", treasurerRun),
    at("w-", vault),
    at("--", mint),
    at("w-", instance),
    at("w-", key(9)),
    at("--", ids.coordinator),
    at("--", "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"),
    at("--", token),
    at("--", PublicKey.default),
  ]);
  assert.deepEqual(shown(treasurer.runUpdateInstruction({ ...run, authority: payer })), [
    at("-s", payer),
    at("--", treasurerRun),
    at("--", instance),
    at("w-", key(9)),
    at("--", ids.coordinator),
  ]);
  assert.deepEqual(shown(treasurer.participantCreateInstruction({ ...run, payer, user })), [
    at("ws", payer),
    at("-s", user),
    at("--", treasurerRun),
    at("w-", participant),
    at("--", PublicKey.default),
  ]);
  const claim = { ...run, user, collateralMint: mint, claimEarnedPoints: 1n };
  assert.deepEqual(shown(treasurer.participantClaimInstruction(claim)), [
    at("-s", user),
    at("w-", associatedTokenAddress(user, mint)),
    at("w-", treasurerRun),
    at("w-", vault),
    at("--", key(9)),
    at("w-", participant),
    at("--", token),
  ]);
  const other = treasurer.participantClaimInstruction({ ...claim, userCollateral: key(8) });
  assert.ok(other.keys[1].pubkey.equals(key(8)));
});

type AccountMetas = { pubkey: PublicKey; isWritable: boolean; isSigner: boolean }[];

Deno.test("Anchor derives the same addresses from the IDL", async () => {
  const { methods } = treasurerProgram(new Connection("http://127.0.0.1:1"));
  const [, runCreate] = treasurer.runCreateInstructions(create);
  const byAnchor = await methods.runCreate(
    new anchor.BN(treasurerIndex("test").toString()),
    "test",
    "v1",
    key(4),
    key(5),
  ).accounts({
    payer,
    collateralMint: mint,
    coordinatorInstance: coordinatorInstanceAddress(ids, "test"),
    coordinatorAccount: key(9),
  }).instruction();
  assert.deepEqual(byAnchor, runCreate);
  const participant = await methods.participantCreate()
    .accounts({ payer, user, run: treasurerRun }).instruction();
  assert.deepEqual(participant, treasurer.participantCreateInstruction({ ...run, payer, user }));
});

Deno.test("accounts are read as Anchor reads them, and only those", () => {
  const coder = new BorshAccountsCoder(treasurerIdl);
  const u64 = fc.bigInt(0n, (1n << 64n) - 1n);
  const bytes = fc.uint8Array({ minLength: 193, maxLength: 193 });
  fc.assert(
    fc.property(bytes, u64, (content, salt) => {
      const data = Buffer.alloc(200);
      data.set(content);
      data.set(treasurerIdl.accounts!.find(({ name }) => name === "Run")!.discriminator);
      const address = new PublicKey(new Uint8Array(32).fill(Number(salt % 256n)));
      const ours = treasurer.decodeTreasurerRun(address, data);
      const theirs = coder.decode("Run", data);
      assert.deepEqual(
        [
          ours.bump,
          ours.index,
          ours.mainAuthority,
          ours.joinAuthority,
          ours.coordinatorAccount,
          ours.coordinatorInstance,
          ours.collateralMint,
          ours.totalClaimedCollateralAmount,
          ours.totalClaimedEarnedPoints,
        ].map(String),
        [
          theirs.bump,
          theirs.index,
          theirs.main_authority,
          theirs.join_authority,
          theirs.coordinator_account,
          theirs.coordinator_instance,
          theirs.collateral_mint,
          theirs.total_claimed_collateral_amount,
          theirs.total_claimed_earned_points,
        ].map(String),
      );
      assert.throws(
        () => treasurer.decodeTreasurerRun(address, data.subarray(0, 192)),
        code("TREASURER_RUN_INVALID"),
      );
      assert.throws(
        () => treasurer.decodeParticipant(address, data),
        code("PARTICIPANT_INVALID"),
      );
    }),
    { seed: seed(), numRuns: 50 },
  );
});

/** A connection that knows one account. */
function knowing(address: PublicKey, account: Partial<AccountInfo<Buffer>>): Connection {
  const getAccountInfo = (asked: PublicKey) =>
    Promise.resolve(asked.equals(address) ? account : null);
  return { getAccountInfo, rpcEndpoint: "http://127.0.0.1:1" } as unknown as Connection;
}

Deno.test("a treasurer is one only when the program owns it and it names this run", async () => {
  const data = Buffer.alloc(200);
  data.set(Buffer.from("c7369b56eb73f6bd", "hex"));
  data.set(coordinatorInstanceAddress(ids, "test").toBytes(), 113);
  data.writeBigUInt64LE(77n, 185);
  const found = await treasurer.fetchTreasurerRun(
    knowing(treasurerRun, { owner: ids.treasurer, data }),
    { runId: "test" },
  );
  assert.equal(found?.totalClaimedEarnedPoints, 77n);
  assert.ok(found?.collateralAccount.equals(associatedTokenAddress(treasurerRun, key(0))));
  // Lamports that somebody sent to the address.
  const lamports = knowing(treasurerRun, { owner: PublicKey.default, data: Buffer.alloc(0) });
  assert.equal(await treasurer.fetchTreasurerRun(lamports, { runId: "test" }), null);
  const nothing = knowing(key(7), {});
  assert.equal(await treasurer.fetchTreasurerRun(nothing, { runId: "test" }), null);
  const other = treasurerRunAddress(ids, 5n);
  await assert.rejects(
    treasurer.fetchTreasurerRun(knowing(other, { owner: ids.treasurer, data }), {
      runId: "other",
      index: 5n,
    }),
    code("TREASURER_RUN_INVALID"),
  );
  // A stranger's run under the index that "other" would have.
  const taken = knowing(treasurerRunAddress(ids, treasurerIndex("other")), {
    owner: ids.treasurer,
    data,
  });
  assert.equal(await treasurer.fetchTreasurerRun(taken, { runId: "other" }), null);
  const participant = Buffer.alloc(32);
  participant.set(Buffer.from("208e6c4ff7b33606ff", "hex"));
  participant.writeBigUInt64LE(3n, 9);
  participant.writeBigUInt64LE(4n, 17);
  const address = participantAddress(ids, treasurerRun, user);
  assert.deepEqual(
    await treasurer.fetchParticipant(
      knowing(address, { owner: ids.treasurer, data: participant }),
      { runId: "test", user },
    ),
    { address, bump: 255, claimedCollateralAmount: 3n, claimedEarnedPoints: 4n },
  );
  assert.equal(await treasurer.fetchParticipant(nothing, { runId: "test", user }), null);
});

Deno.test("what can be claimed is what is earned, not claimed and funded", () => {
  const claimable = (earned: bigint, claimed: bigint, vault: bigint) =>
    treasurer.claimablePoints({ earned, claimed, vault });
  assert.equal(claimable(300n, 0n, 1_000n), 300n);
  assert.equal(claimable(300n, 100n, 150n), 150n);
  assert.equal(claimable(300n, 300n, 150n), 0n);
  assert.equal(claimable(0n, 5n, 150n), 0n, "a closed and re-created run");
  assert.equal(claimable(300n, 0n, 0n), 0n);
});

Deno.test("values that do not fit are refused", () => {
  const refuses = (expected: string, build: () => unknown) => assert.throws(build, code(expected));
  refuses(
    "RUN_ID_INVALID",
    () => treasurer.runCreateInstructions({ ...create, runId: "r".repeat(33) }),
  );
  refuses(
    "TEXT_TOO_LONG",
    () => treasurer.runCreateInstructions({ ...create, clientVersion: "v".repeat(97) }),
  );
  refuses(
    "TREASURER_INDEX_INVALID",
    () => treasurer.runCreateInstructions({ ...create, index: 1n << 64n }),
  );
  const update = { ...run, authority: payer };
  refuses(
    "TEXT_TOO_LONG",
    () => treasurer.runUpdateInstruction({ ...update, clientVersion: "v".repeat(97) }),
  );
  refuses(
    "NUMBER_OUT_OF_RANGE",
    () => treasurer.runUpdateInstruction({ ...update, earningRateTotalShared: 1n << 64n }),
  );
  refuses("NUMBER_OUT_OF_RANGE", () =>
    treasurer.participantClaimInstruction({
      ...run,
      user,
      collateralMint: mint,
      claimEarnedPoints: -1n,
    }));
});
