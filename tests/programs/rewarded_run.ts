/** A run that the treasurer owns, its collateral, and whole epochs of it; for tests. */
import assert from "node:assert/strict";
import {
  createAssociatedTokenAccountIdempotentInstruction,
  createInitializeMint2Instruction,
  createMintToInstruction,
  MINT_SIZE,
  TOKEN_PROGRAM_ID,
} from "@solana/spl-token";
import { PublicKey, SystemProgram, type TransactionInstruction } from "@solana/web3.js";
import {
  authorizationCreateInstruction,
  authorizationGrantorUpdateInstruction,
  EVERYBODY,
} from "../../lib/chain/authorizer.ts";
import {
  associatedTokenAddress,
  participantAddress,
  treasurerIndex,
  treasurerRunAddress,
} from "../../lib/chain/pda.ts";
import { treasurerId } from "../../lib/chain/programs.ts";
import * as treasurer from "../../lib/chain/treasurer.ts";
import { RunState } from "../../lib/protocol/coordinator_state.ts";
import { Chain, key, programFile, Run, TRACE_CONFIG, TRACE_MODEL } from "./harness.ts";

/** A chain with all programs. */
export function chainWithTreasurer(): Chain {
  const chain = new Chain();
  chain.svm.addProgram(treasurerId(chain.ids).toBytes(), programFile("treasurer"));
  return chain;
}

/** An SPL token of which tests can make any amount. */
export class Collateral {
  readonly mint: PublicKey;
  readonly #authority: PublicKey;

  constructor(readonly chain: Chain, name = "collateral", decimals = 0) {
    this.mint = key(`mint of ${name}`);
    this.#authority = chain.wallet(`mint authority of ${name}`);
    chain.run(
      SystemProgram.createAccount({
        fromPubkey: this.#authority,
        newAccountPubkey: this.mint,
        lamports: 1_461_600,
        space: MINT_SIZE,
        programId: TOKEN_PROGRAM_ID,
      }),
      createInitializeMint2Instruction(this.mint, decimals, this.#authority, null),
    );
  }

  /** The associated token account of `owner`, created when it is missing. */
  accountOf(owner: PublicKey): PublicKey {
    const address = associatedTokenAddress(owner, this.mint);
    this.chain.run(createAssociatedTokenAccountIdempotentInstruction(
      this.#authority,
      address,
      owner,
      this.mint,
    ));
    return address;
  }

  /** New tokens for the owner of an associated account. */
  mintTo(owner: PublicKey, amount: bigint): void {
    const account = this.accountOf(owner);
    this.chain.run(createMintToInstruction(this.mint, account, this.#authority, amount));
  }

  /** Base units in the associated account of `owner`. */
  balance(owner: PublicKey): bigint {
    const data = this.chain.data(associatedTokenAddress(owner, this.mint));
    return new DataView(data.buffer, data.byteOffset).getBigUint64(64, true);
  }
}

export class RewardedRun extends Run {
  readonly treasurerRun: PublicKey;

  constructor(
    chain: Chain,
    readonly collateral: Collateral,
    runId = "test",
    readonly index = treasurerIndex(runId),
  ) {
    super(chain, runId);
    this.treasurerRun = treasurerRunAddress(chain.ids, index);
  }

  /** `create_account` of the coordinator account, and `run_create`. */
  createInstructions(clientVersion = "test"): TransactionInstruction[] {
    return treasurer.runCreateInstructions({
      ...this.asTreasurer(),
      payer: this.owner,
      collateralMint: this.collateral.mint,
      clientVersion,
      mainAuthority: this.owner,
      joinAuthority: this.owner,
      rentLamports: 830_244_480,
    });
  }

  override create(clientVersion = "test"): this {
    const { ids, owner, authorization } = this;
    this.chain.run(...this.createInstructions(clientVersion));
    this.chain.run(
      authorizationCreateInstruction({ ids, payer: owner, grantor: owner, grantee: EVERYBODY }),
      authorizationGrantorUpdateInstruction({ ids, grantor: owner, authorization, active: true }),
    );
    return this;
  }

  override configure(config = {}, model = {}): this {
    this.chain.run(this.update({
      config: { ...TRACE_CONFIG, ...config },
      model: { ...TRACE_MODEL, ...model },
    }));
    return this;
  }

  override setPaused(paused: boolean): TransactionInstruction {
    return this.update({ paused });
  }

  update(
    changes: Partial<Parameters<typeof treasurer.runUpdateInstruction>[0]>,
  ): TransactionInstruction {
    return treasurer.runUpdateInstruction({
      ...this.asTreasurer(),
      authority: this.owner,
      ...changes,
    });
  }

  createParticipant(user: PublicKey, payer = user): TransactionInstruction {
    return treasurer.participantCreateInstruction({ ...this.asTreasurer(), payer, user });
  }

  claim(user: PublicKey, claimEarnedPoints: bigint, userCollateral?: PublicKey) {
    return treasurer.participantClaimInstruction({
      ...this.asTreasurer(),
      user,
      collateralMint: this.collateral.mint,
      claimEarnedPoints,
      userCollateral,
    });
  }

  asTreasurer() {
    const { ids, runId, index, account } = this;
    return { ids, runId, index, coordinatorAccount: account };
  }

  readTreasurer(): treasurer.TreasurerRun {
    return treasurer.decodeTreasurerRun(this.treasurerRun, this.chain.data(this.treasurerRun));
  }

  readParticipant(user: PublicKey): treasurer.Participant {
    const address = participantAddress(this.ids, this.treasurerRun, user);
    return treasurer.decodeParticipant(address, this.chain.data(address));
  }

  /** Points of a client in the coordinator account. */
  earned(user: PublicKey): bigint | undefined {
    return this.state().clientsState.clients.find(({ id }) => user.equals(new PublicKey(id.signer)))
      ?.earned;
  }

  /**
   * A whole epoch of `users`, all of them healthy, from WaitingForMembers to WaitingForMembers.
   * `authorization`: by which they join, when not by that for everybody.
   */
  playEpoch(users: PublicKey[], authorization = this.authorization): void {
    const { chain } = this;
    const wait = (seconds: bigint) => {
      chain.at(chain.time + seconds, chain.slot + 2n * seconds);
      chain.run(this.tick());
    };
    for (const user of users) {
      const join = this.join(user);
      join.keys[1].pubkey = authorization;
      chain.run(join);
    }
    const { config } = this.state();
    wait(BigInt(config.waitingForMembersExtraTime));
    wait(config.warmupTime);
    while (this.state().runState === RunState.RoundTrain) {
      chain.at(chain.time + 2n, chain.slot + 4n);
      for (const { user, proof } of this.elected()) chain.run(this.witness(user, proof));
      assert.equal(this.state().runState, RunState.RoundWitness);
      wait(10n);
    }
    assert.equal(this.state().runState, RunState.Cooldown);
    wait(config.cooldownTime);
    assert.equal(this.state().runState, RunState.WaitingForMembers);
  }
}
