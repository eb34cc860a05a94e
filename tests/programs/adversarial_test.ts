/**
 * The eleven classic attacks on Solana programs, tried on every instruction of the three programs.
 *
 * A table per attack: an instruction either has an attempt, which must fail with the given error and
 * change nothing (or prove harmless by its own assertions), or the reason why there is none.
 */
import assert from "node:assert/strict";
import { PublicKey, SystemProgram } from "@solana/web3.js";
import {
  authorizationCreateInstruction,
  authorizationGrantorUpdateInstruction,
} from "../../lib/chain/authorizer.ts";
import { associatedTokenAddress, coordinatorInstanceAddress } from "../../lib/chain/pda.ts";
import { type Chain, key, programFile, type Result, Run } from "./harness.ts";
import { changed, INSTRUCTIONS, type Scene, SCENES } from "./scenes.ts";

type Outcome = { result: Result; error: number | string };
type Attempt = (scene: Scene) => Outcome | Outcome[] | void;
/** By instruction, or by a word that its name (`program.instruction`) contains. */
type Table = Record<string, Attempt | string>;

const AUTHORIZER = "authorizer.authorization_";
const COORDINATOR = "coordinator.";
const TREASURER = "treasurer.";

/** Sends the scene's instruction with account `at` changed. */
function withMeta(scene: Scene, at: number, meta: Partial<Scene["instruction"]["keys"][number]>) {
  return scene.chain.send(changed(scene.instruction, { keys: { [at]: meta } }));
}

const address = (scene: Scene, at: number) => scene.instruction.keys[at].pubkey;

const unsigned = (...at: number[]): Attempt => (scene) =>
  at.map((i) => ({ result: withMeta(scene, i, { isSigner: false }), error: 3010 }));

/** Somebody else signs in the place of account `at`. */
const stranger = (at: number, error: number): Attempt => (scene) => {
  const pubkey = scene.chain.wallet("stranger");
  return { result: withMeta(scene, at, { pubkey }), error };
};

/** Another address in the place of account `at`. */
const elsewhere =
  (at: number, error: number | string, make: (scene: Scene) => PublicKey): Attempt => (scene) => ({
    result: withMeta(scene, at, { pubkey: make(scene) }),
    error,
  });

/** Runs `attempt` with account `at` changed, and puts the account back. */
function tampered(
  { chain }: Scene,
  pubkey: PublicKey,
  edit: (data: Uint8Array) => { data?: Uint8Array; owner?: PublicKey },
  attempt: () => Outcome,
): Outcome {
  const before = chain.svm.getAccount(pubkey.toBytes())!;
  const owner = new PublicKey(before.owner());
  const change = edit(before.data());
  chain.put(pubkey, change.data ?? before.data(), change.owner ?? owner, before.lamports());
  const outcome = attempt();
  chain.put(pubkey, before.data(), owner, before.lamports());
  return outcome;
}

/** The same bytes at the same address, written by another program. */
const foreign = (...at: number[]): Attempt => (scene) =>
  at.map((i) =>
    tampered(
      scene,
      address(scene, i),
      () => ({ owner: key("evil program") }),
      () => ({ result: scene.chain.send(scene.instruction), error: 3007 }),
    )
  );

/** The account of another type: other discriminator, same everything. */
const disguised = (...at: number[]): Attempt => (scene) =>
  at.map((i) =>
    tampered(scene, address(scene, i), (data) => {
      const other = Uint8Array.from(data);
      other[3] ^= 0xff;
      return { data: other };
    }, () => ({ result: scene.chain.send(scene.instruction), error: 3002 }))
  );

/** An executable program of the attacker's in the place of account `at`. */
const fakeProgram = (...at: number[]): Attempt => (scene) =>
  at.map((i) => {
    const pubkey = key("evil program");
    scene.chain.svm.addProgram(pubkey.toBytes(), programFile("placeholder"));
    return { result: withMeta(scene, i, { pubkey }), error: 3008 };
  });

/** Account `at` again in the place of account `into`. */
const twice = (at: number, into: number, error: number | string): Attempt => (scene) => ({
  result: withMeta(scene, into, { pubkey: address(scene, at) }),
  error,
});

/** The stored bump of account `at` is not the one of its address. */
const wrongBump = (at: number, error: number | string = 2006): Attempt => (scene) =>
  tampered(scene, address(scene, at), (data) => {
    const other = Uint8Array.from(data);
    other[8] -= 1;
    return { data: other };
  }, () => ({ result: scene.chain.send(scene.instruction), error }));

/** The next address that the same seeds give, with a smaller bump than the first one. */
function secondAddress(scene: Scene, seeds: Uint8Array[]): PublicKey {
  const { programId } = scene.instruction;
  const [, first] = PublicKey.findProgramAddressSync(seeds, programId);
  for (let bump = first - 1; bump >= 0; bump--) {
    try {
      return PublicKey.createProgramAddressSync([...seeds, Uint8Array.of(bump)], programId);
    } catch { /* on the curve: the next one */ }
  }
  throw new Error("no second address");
}

/** A second run on the same chain, with everything a run has. */
const otherRun = ({ chain }: Scene) => new Run(chain, "other run").create();

const text = (value: string) => new TextEncoder().encode(value);

/** Somebody else's authorization. */
function otherAuthorization({ chain }: Scene): PublicKey {
  const grantor = chain.wallet("other grantor");
  const instruction = authorizationCreateInstruction({
    payer: grantor,
    grantor,
    grantee: chain.wallet("other grantee"),
  });
  chain.run(instruction);
  return instruction.keys[2].pubkey;
}

/** Uses what `close` closed, after lamports were sent there, in the same transaction. */
function revive(chain: Chain, close: Scene["instruction"], at: number, use: Scene["instruction"]) {
  const payer = chain.wallet("stranger");
  const lamports = 1_000_000_000;
  const toPubkey = close.keys[at].pubkey;
  const transfer = SystemProgram.transfer({ fromPubkey: payer, toPubkey, lamports });
  return { result: chain.send(close, transfer, use), error: 3007 };
}

const CREATES = "takes no account with content but the one it creates";
const NO_CALL = "calls no other program";
const ONE_MUTABLE = "has one mutable account";
const CLOSES_NOTHING = "closes nothing; a closed account fails the owner check";
const CREATES_NOTHING = "initializes nothing";

/** Account positions of the groups of onchain-coordinator.md section 3. */
const OWNERS = ["update", "update_client_version", "set_future_epoch_rates", "set_paused"];
const ANYBODY = ["tick", "witness", "warmup_witness", "health_check", "checkpoint"];
const GROUPS = [...OWNERS, ...ANYBODY];

const each = (names: string[], attempt: Attempt | string): Table =>
  Object.fromEntries(names.map((name) => [COORDINATOR + name, attempt]));

const ATTACKS: Record<string, Table> = {
  "missing signer": {
    [AUTHORIZER + "create"]: unsigned(0, 1),
    [AUTHORIZER + "grantor_update"]: unsigned(0),
    [AUTHORIZER + "grantee_update"]: unsigned(0, 1),
    [AUTHORIZER + "close"]: unsigned(0),
    [COORDINATOR + "init_coordinator"]: unsigned(0),
    [COORDINATOR + "free_coordinator"]: unsigned(0),
    [COORDINATOR + "join_run"]: unsigned(0),
    ...each(GROUPS, unsigned(0)),
    [TREASURER + "run_create"]: unsigned(0),
    [TREASURER + "run_update"]: unsigned(0),
    [TREASURER + "participant_create"]: unsigned(0, 1),
    [TREASURER + "participant_claim"]: unsigned(0),
  },

  "wrong data match": {
    [AUTHORIZER + "create"]: stranger(1, 2006),
    [AUTHORIZER + "grantor_update"]: stranger(0, 2003),
    [AUTHORIZER + "grantee_update"]: stranger(1, 2003),
    [AUTHORIZER + "close"]: stranger(0, 2003),
    [COORDINATOR + "init_coordinator"]: elsewhere(
      1,
      2006,
      ({ chain }) => coordinatorInstanceAddress(chain.ids, "another"),
    ),
    [COORDINATOR + "free_coordinator"]: stranger(0, 2003),
    [COORDINATOR + "join_run"]: stranger(0, 6008),
    ...each(OWNERS, stranger(0, 2003)),
    [COORDINATOR + "tick"]: "anybody may tick",
    [COORDINATOR + "witness"]: (scene) => [
      ...[stranger(0, 6007)(scene) as Outcome],
      // A member of the epoch with the proof of another one.
      ...["A", "B", "C"].filter((name) => !key(name).equals(address(scene, 0))).map((name) => ({
        result: withMeta(scene, 0, { pubkey: key(name) }),
        error: 6011,
      })),
    ],
    [COORDINATOR + "warmup_witness"]: stranger(0, 6007),
    [COORDINATOR + "health_check"]: stranger(0, 6007),
    [COORDINATOR + "checkpoint"]: stranger(0, 6007),
    [TREASURER + "run_create"]: elsewhere(1, 2006, () => key("another run")),
    [TREASURER + "run_update"]: stranger(0, 2003),
    [TREASURER + "participant_create"]: stranger(1, 2006),
    [TREASURER + "participant_claim"]: stranger(0, 2003),
  },

  "wrong owner": {
    [AUTHORIZER + "create"]: (scene) => {
      scene.chain.put(address(scene, 2), new Uint8Array(108), key("evil program"));
      return { result: scene.chain.send(scene.instruction), error: 0 };
    },
    [AUTHORIZER + "grantor_update"]: foreign(1),
    [AUTHORIZER + "grantee_update"]: foreign(2),
    [AUTHORIZER + "close"]: foreign(2),
    [COORDINATOR + "init_coordinator"]: (scene) =>
      tampered(
        scene,
        address(scene, 2),
        () => ({ owner: key("evil program") }),
        () => ({ result: scene.chain.send(scene.instruction), error: 2004 }),
      ),
    [COORDINATOR + "free_coordinator"]: foreign(2, 3),
    [COORDINATOR + "join_run"]: foreign(1, 2, 3),
    ...each(GROUPS, foreign(1, 2)),
    [TREASURER + "run_create"]: foreign(3),
    [TREASURER + "run_update"]: foreign(1, 2, 3),
    [TREASURER + "participant_create"]: foreign(2),
    [TREASURER + "participant_claim"]: foreign(1, 2, 3, 4, 5),
  },

  "type cosplay": {
    [AUTHORIZER + "create"]: CREATES,
    [AUTHORIZER + "grantor_update"]: disguised(1),
    [AUTHORIZER + "grantee_update"]: disguised(2),
    [AUTHORIZER + "close"]: disguised(2),
    [COORDINATOR + "init_coordinator"]: elsewhere(2, 6002, (scene) => otherRun(scene).instance),
    [COORDINATOR + "free_coordinator"]: (scene) => [
      twice(2, 3, 3002)(scene) as Outcome,
      twice(3, 2, 3002)(scene) as Outcome,
    ],
    [COORDINATOR + "join_run"]: (scene) => [
      ...[disguised(1, 2, 3)(scene) as Outcome[]].flat(),
      twice(2, 3, 3002)(scene) as Outcome,
    ],
    ...each(
      GROUPS,
      (scene) => [twice(1, 2, 3002), twice(2, 1, 3002)].map((attempt) => attempt(scene) as Outcome),
    ),
    // A token account where a mint belongs, and the other way round: other lengths.
    [TREASURER + "run_create"]: (scene) =>
      tampered(
        scene,
        address(scene, 3),
        () => ({ data: new Uint8Array(165) }),
        () => ({ result: scene.chain.send(scene.instruction), error: "InvalidAccountData" }),
      ),
    [TREASURER + "run_update"]: (scene) => [
      ...[disguised(1, 2, 3)(scene) as Outcome[]].flat(),
      twice(2, 3, 3002)(scene) as Outcome,
    ],
    [TREASURER + "participant_create"]: disguised(2),
    [TREASURER + "participant_claim"]: (scene) => [
      ...[disguised(2, 4, 5)(scene) as Outcome[]].flat(),
      twice(2, 5, 3002)(scene) as Outcome,
      twice(5, 2, 3002)(scene) as Outcome,
      tampered(
        scene,
        address(scene, 1),
        (data) => ({ data: data.subarray(0, 82) }),
        () => ({ result: scene.chain.send(scene.instruction), error: "InvalidAccountData" }),
      ),
    ],
  },

  "re-initialization": {
    [AUTHORIZER + "create"]: again,
    [AUTHORIZER + "grantor_update"]: CREATES_NOTHING,
    [AUTHORIZER + "grantee_update"]: CREATES_NOTHING,
    [AUTHORIZER + "close"]: CREATES_NOTHING,
    [COORDINATOR + "init_coordinator"]: (scene) => {
      const other = otherRun(scene);
      // The account of a run that exists already, for a run of the attacker's own.
      return [
        { result: withMeta(scene, 2, { pubkey: other.account }), error: 3000 },
        again(scene),
      ];
    },
    [COORDINATOR + "free_coordinator"]: CREATES_NOTHING,
    [COORDINATOR + "join_run"]: (scene) => {
      // Joining again must not give a second entry, nor reset what was earned.
      const run = new Run(scene.chain);
      scene.chain.run(scene.instruction);
      scene.chain.run(scene.instruction);
      assert.equal(run.state().clientsState.clients.length, 1);
    },
    ...each(GROUPS, CREATES_NOTHING),
    [TREASURER + "run_create"]: (scene) => {
      scene.chain.run(scene.instruction);
      return { result: scene.chain.send(scene.instruction), error: 0 };
    },
    [TREASURER + "run_update"]: CREATES_NOTHING,
    [TREASURER + "participant_create"]: again,
    [TREASURER + "participant_claim"]: CREATES_NOTHING,
  },

  "arbitrary cross-program call": {
    [AUTHORIZER + "create"]: fakeProgram(3),
    [AUTHORIZER + "grantor_update"]: NO_CALL,
    [AUTHORIZER + "grantee_update"]: fakeProgram(3),
    [AUTHORIZER + "close"]: fakeProgram(3),
    [COORDINATOR + "init_coordinator"]: fakeProgram(3),
    [COORDINATOR + "free_coordinator"]: NO_CALL,
    [COORDINATOR + "join_run"]: NO_CALL,
    ...each(GROUPS, NO_CALL),
    [TREASURER + "run_create"]: fakeProgram(6, 7, 8, 9),
    [TREASURER + "run_update"]: fakeProgram(4),
    [TREASURER + "participant_create"]: fakeProgram(4),
    [TREASURER + "participant_claim"]: fakeProgram(6),
  },

  "duplicate mutable accounts": {
    [AUTHORIZER + "create"]: twice(0, 2, 2006),
    [AUTHORIZER + "grantor_update"]: ONE_MUTABLE,
    // The authorization as its own payer; it would have to sign, which only this test can pretend.
    [AUTHORIZER + "grantee_update"]: (scene) => {
      const { chain } = scene;
      const pubkey = address(scene, 2);
      const before = chain.balance(pubkey);
      const self = changed(scene.instruction, { keys: { 0: { pubkey } } });
      const growing = changed(self, {
        data: Buffer.concat([
          self.data.subarray(0, 9),
          Buffer.from([2, 0, 0, 0]),
          Buffer.alloc(64),
        ]),
      });
      assert.notEqual(chain.send(growing).error, null);
      const shrinking = changed(self, {
        data: Buffer.concat([self.data.subarray(0, 9), Buffer.alloc(4)]),
      });
      chain.run(shrinking);
      assert.equal(chain.balance(pubkey), before);
      assert.equal(chain.data(pubkey).length, 108);
    },
    [AUTHORIZER + "close"]: twice(2, 1, 3011),
    [COORDINATOR + "init_coordinator"]: (scene) => [
      twice(1, 2, 6002)(scene) as Outcome,
      twice(0, 2, 2004)(scene) as Outcome,
    ],
    [COORDINATOR + "free_coordinator"]: (scene) => [
      twice(2, 1, 3011)(scene) as Outcome,
      twice(3, 1, 3011)(scene) as Outcome,
    ],
    [COORDINATOR + "join_run"]: ONE_MUTABLE,
    ...each(GROUPS, ONE_MUTABLE),
    [TREASURER + "run_create"]: (scene) => [
      twice(1, 5, 2004)(scene) as Outcome,
      twice(4, 5, 6002)(scene) as Outcome,
    ],
    [TREASURER + "run_update"]: ONE_MUTABLE,
    [TREASURER + "participant_create"]: twice(0, 3, 2006),
    [TREASURER + "participant_claim"]: (scene) => [
      twice(3, 1, 2003)(scene) as Outcome,
      twice(1, 3, 2015)(scene) as Outcome,
    ],
  },

  "bump canonicalization": {
    [AUTHORIZER + "create"]: elsewhere(2, 2006, (scene) =>
      secondAddress(scene, [
        text("Authorization"),
        key("grantor").toBytes(),
        key("grantee").toBytes(),
        text("CoordinatorJoinRun"),
      ])),
    [AUTHORIZER + "grantor_update"]: "derives no address; only create makes authorizations",
    [AUTHORIZER + "grantee_update"]: "derives no address; only create makes authorizations",
    [AUTHORIZER + "close"]: "derives no address; only create makes authorizations",
    [COORDINATOR + "init_coordinator"]: elsewhere(
      1,
      2006,
      (scene) => secondAddress(scene, [text("coordinator"), text("test")]),
    ),
    [COORDINATOR + "free_coordinator"]: wrongBump(2),
    [COORDINATOR + "join_run"]: wrongBump(2),
    ...each(GROUPS, wrongBump(1)),
    [TREASURER + "run_create"]: (scene) => {
      const index = scene.instruction.data.subarray(8, 16);
      const pubkey = secondAddress(scene, [text("Run"), index]);
      return { result: withMeta(scene, 1, { pubkey }), error: 2006 };
    },
    // The run signs with its stored bump: another one gives no signer, or another one.
    [TREASURER + "run_update"]: wrongBump(1, "ProgramFailedToComplete"),
    [TREASURER + "participant_create"]: (scene) => {
      const seeds = [
        text("Participant"),
        address(scene, 2).toBytes(),
        address(scene, 1).toBytes(),
      ];
      return { result: withMeta(scene, 3, { pubkey: secondAddress(scene, seeds) }), error: 2006 };
    },
    [TREASURER + "participant_claim"]: wrongBump(5),
  },

  "PDA sharing": {
    [AUTHORIZER + "create"]: stranger(1, 2006),
    [AUTHORIZER + "grantor_update"]: elsewhere(1, 2003, otherAuthorization),
    [AUTHORIZER + "grantee_update"]: elsewhere(2, 2003, otherAuthorization),
    [AUTHORIZER + "close"]: elsewhere(2, 2003, otherAuthorization),
    [COORDINATOR + "init_coordinator"]: elsewhere(
      1,
      2006,
      ({ chain }) => coordinatorInstanceAddress(chain.ids, "another"),
    ),
    // The attacker is the owner of the other run.
    [COORDINATOR + "free_coordinator"]: (scene) => {
      const { owner: pubkey, instance } = otherRun(scene);
      const keys = { 0: { pubkey }, 2: { pubkey: instance } };
      return { result: scene.chain.send(changed(scene.instruction, { keys })), error: 2003 };
    },
    [COORDINATOR + "join_run"]: (scene) => {
      const other = otherRun(scene);
      return [
        { result: withMeta(scene, 1, { pubkey: other.authorization }), error: 2003 },
        { result: withMeta(scene, 3, { pubkey: other.account }), error: 2003 },
      ];
    },
    ...each(GROUPS, (scene) => {
      const other = otherRun(scene);
      const signer = scene.instruction.keys[0].pubkey.equals(new Run(scene.chain).owner)
        ? other.owner
        : scene.instruction.keys[0].pubkey;
      const keys = { 0: { pubkey: signer }, 1: { pubkey: other.instance } };
      return { result: scene.chain.send(changed(scene.instruction, { keys })), error: 2003 };
    }),
    [TREASURER + "run_create"]: elsewhere(
      2,
      "InvalidSeeds",
      () => associatedTokenAddress(key("stranger"), key("mint")),
    ),
    [TREASURER + "run_update"]: elsewhere(3, 2003, (scene) => otherRun(scene).account),
    [TREASURER + "participant_create"]: stranger(1, 2006),
    [TREASURER + "participant_claim"]: (scene) => {
      // The vault of another run, with the same mint.
      const { chain } = scene;
      const vault = associatedTokenAddress(key("other treasurer run"), key("mint"));
      const data = chain.data(address(scene, 3));
      data.set(key("other treasurer run").toBytes(), 32);
      const owner = new PublicKey(chain.svm.getAccount(address(scene, 3).toBytes())!.owner());
      chain.put(vault, data, owner);
      return [
        { result: withMeta(scene, 3, { pubkey: vault }), error: 2015 },
        { result: withMeta(scene, 4, { pubkey: otherRun(scene).account }), error: 2003 },
      ];
    },
  },

  "closing and revival": {
    [AUTHORIZER + "create"]: CLOSES_NOTHING,
    [AUTHORIZER + "grantor_update"]: CLOSES_NOTHING,
    [AUTHORIZER + "grantee_update"]: CLOSES_NOTHING,
    [AUTHORIZER + "close"]: ({ chain, instruction }) => {
      const authorization = instruction.keys[2].pubkey;
      const grantor = instruction.keys[0].pubkey;
      const active = { grantor, authorization, active: true };
      const use = authorizationGrantorUpdateInstruction(active);
      return revive(chain, instruction, 2, use);
    },
    [COORDINATOR + "init_coordinator"]: CLOSES_NOTHING,
    [COORDINATOR + "free_coordinator"]: ({ chain, instruction }) => {
      const run = new Run(chain);
      return [2, 3].map((at) => revive(chain, instruction, at, run.setPaused(false))).map((
        outcome,
        i,
      ) => i === 0 ? outcome : { ...outcome, error: 3012 });
    },
    [COORDINATOR + "join_run"]: CLOSES_NOTHING,
    ...each(GROUPS, CLOSES_NOTHING),
    [TREASURER + "run_create"]: CLOSES_NOTHING,
    [TREASURER + "run_update"]: CLOSES_NOTHING,
    [TREASURER + "participant_create"]: CLOSES_NOTHING,
    [TREASURER + "participant_claim"]: CLOSES_NOTHING,
  },
};

function again(scene: Scene): Outcome {
  scene.chain.run(scene.instruction);
  return { result: scene.chain.send(scene.instruction), error: 0 };
}

/** Content and lamports of the accounts of an instruction. */
function snapshot({ chain, instruction }: Scene) {
  return instruction.keys.map(({ pubkey }) => [chain.balance(pubkey), chain.data(pubkey)]);
}

for (const [attack, table] of Object.entries(ATTACKS)) {
  Deno.test(`attack: ${attack}`, () => {
    const names = INSTRUCTIONS.map(([program, name]) => `${program}.${name}`);
    assert.deepEqual(Object.keys(table).sort(), names.sort());
    for (const [program, name] of INSTRUCTIONS) {
      const attempt = table[`${program}.${name}`];
      if (typeof attempt === "string") continue;
      const scene = SCENES[program][name]();
      for (const outcome of [attempt(scene) ?? []].flat()) {
        const said = outcome.result.logs.join("\n");
        assert.equal(outcome.result.error, outcome.error, `${program}.${name}:\n${said}`);
      }
    }
  });
}

Deno.test("refused attempts change nothing", () => {
  for (const [program, name] of INSTRUCTIONS) {
    const scene = SCENES[program][name]();
    const before = snapshot(scene);
    for (const attack of ["missing signer", "type cosplay", "arbitrary cross-program call"]) {
      const attempt = ATTACKS[attack][`${program}.${name}`];
      if (typeof attempt !== "string") attempt(scene);
    }
    assert.deepEqual(snapshot(scene), before, `${program}.${name}`);
    scene.chain.run(scene.instruction);
  }
});

Deno.test("attack: sysvar spoofing: a forged clock account is never looked at", () => {
  const sysvar = new PublicKey("Sysvar1111111111111111111111111111111111111");
  for (const [program, name] of INSTRUCTIONS) {
    const [honest, spoofed] = [SCENES[program][name](), SCENES[program][name]()];
    // Slot, epoch start, epoch, next epoch and a time in the far future.
    spoofed.chain.put(key("forged clock"), new Uint8Array(40).fill(0x7f), sysvar);
    honest.chain.run(honest.instruction);
    const forged = { pubkey: key("forged clock"), isSigner: false, isWritable: false };
    spoofed.instruction.keys.push(forged);
    spoofed.chain.run(spoofed.instruction);
    spoofed.instruction.keys.pop();
    assert.deepEqual(snapshot(spoofed), snapshot(honest), `${program}.${name}`);
  }
});
