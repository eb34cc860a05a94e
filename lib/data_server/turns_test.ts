import assert from "node:assert/strict";
import fc from "fast-check";
import { seed } from "../protocol/property_seed.ts";
import { Turns } from "./turns.ts";

const pause = (milliseconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

Deno.test("never more at once than the limit, in the order of arrival, whoever gives up", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(
        fc.record({ work: fc.nat(4), fails: fc.boolean(), givesUp: fc.option(fc.nat(6)) }),
        { maxLength: 25 },
      ),
      async (limit, visitors) => {
        const turns = new Turns(limit);
        const entered: number[] = [];
        let running = 0;
        await Promise.all(visitors.map(async ({ work, fails, givesUp }, i) => {
          const stop = new AbortController();
          const timer = givesUp === null ? 0 : setTimeout(() => stop.abort("gone"), givesUp);
          await turns.take(async () => {
            entered.push(i);
            assert.ok(++running <= limit);
            await pause(work);
            running--;
            if (fails) throw "failed";
          }, stop.signal).catch((reason) => assert.match(reason, /gone|failed/));
          clearTimeout(timer);
        }));
        assert.deepEqual(entered, [...entered].sort((a, b) => a - b));
        // Nobody left a turn taken.
        const all = Array.from({ length: limit }, () => Promise.withResolvers<void>());
        const last = all.map(({ promise, resolve }) =>
          turns.take(() => {
            resolve();
            return Promise.all(all.map(({ promise }) => promise));
          }, new AbortController().signal).then(() => promise)
        );
        await Promise.all(last);
      },
    ),
    { seed: seed(), numRuns: 30 },
  );
});
