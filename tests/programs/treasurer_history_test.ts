/** Random histories of a rewarded run against a model of the money in a few lines. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { seed } from "../../lib/protocol/property_seed.ts";
import { chainWithTreasurer, Collateral, RewardedRun } from "./rewarded_run.ts";

const NAMES = ["A", "B", "C"];

type Step =
  | { do: "top up"; amount: bigint }
  | { do: "claim"; who: number; amount: bigint }
  | { do: "claim all"; who: number }
  | { do: "set rate"; rate: bigint }
  | { do: "epoch"; members: number[] };

const who = fc.nat(NAMES.length - 1);
const amount = fc.bigInt(0n, 500n);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("top up" as const), amount }),
  fc.record({ do: fc.constant("claim" as const), who, amount }),
  fc.record({ do: fc.constant("claim all" as const), who }),
  fc.record({ do: fc.constant("set rate" as const), rate: fc.bigInt(0n, 1_500n) }),
  fc.record({
    do: fc.constant("epoch" as const),
    members: fc.uniqueArray(who, { minLength: 2, maxLength: NAMES.length }),
  }),
);

Deno.test("whatever happens, each point is paid once and no token is lost or made", () => {
  const seen: Record<string, number> = {};
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 25 }), (steps) => {
      const chain = chainWithTreasurer();
      const collateral = new Collateral(chain);
      const run = new RewardedRun(chain, collateral).create().configure();
      const users = NAMES.map((name) => chain.wallet(name));
      for (const user of users) {
        collateral.accountOf(user);
        chain.run(run.createParticipant(user));
      }
      chain.run(run.setPaused(false));
      const [earned, claimed] = [NAMES.map(() => 0n), NAMES.map(() => 0n)];
      let [vault, minted, rate] = [0n, 0n, 0n];

      const claim = (who: number, points: bigint) => {
        const { error } = chain.send(run.claim(users[who], points));
        const expected = points > earned[who] - claimed[who] ? 6000 : points > vault ? 1 : null;
        assert.equal(error, expected);
        seen[`claim ${error}`] = (seen[`claim ${error}`] ?? 0) + 1;
        if (error !== null) return;
        claimed[who] += points;
        vault -= points;
      };
      for (const step of steps) {
        seen[step.do] = (seen[step.do] ?? 0) + 1;
        switch (step.do) {
          case "top up":
            collateral.mintTo(run.treasurerRun, step.amount);
            vault += step.amount;
            minted += step.amount;
            break;
          case "claim":
            claim(step.who, step.amount);
            break;
          case "claim all":
            claim(step.who, earned[step.who] - claimed[step.who]);
            break;
          case "set rate":
            rate = step.rate;
            chain.run(run.update({ earningRateTotalShared: rate }));
            break;
          case "epoch":
            run.playEpoch(step.members.map((who) => users[who]));
            for (const who of step.members) earned[who] += rate / BigInt(step.members.length);
        }
      }
      assert.deepEqual(users.map((user) => run.earned(user) ?? 0n), earned);
      assert.deepEqual(users.map((user) => collateral.balance(user)), claimed);
      assert.deepEqual(users.map((user) => run.readParticipant(user).claimedEarnedPoints), claimed);
      assert.equal(collateral.balance(run.treasurerRun), vault);
      const paid = claimed.reduce((a, b) => a + b);
      assert.equal(run.readTreasurer().totalClaimedEarnedPoints, paid);
      assert.equal(run.readTreasurer().totalClaimedCollateralAmount, paid);
      assert.equal(paid + vault, minted);
    }),
    { seed: seed(), numRuns: 15 },
  );
  console.log("steps and results:", seen);
});
