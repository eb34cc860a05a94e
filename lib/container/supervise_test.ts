import assert from "node:assert/strict";
import fc from "fast-check";
import { CLIENT_RESTARTS, supervise, UNTIL_SUCCESS } from "./supervise.ts";

/** A program whose runs end with the given codes after the given times, on a clock of its own. */
function scripted(runs: { code: number; seconds: number }[]) {
  let clock = 0;
  let at = 0;
  const waits: number[] = [];
  return {
    waits,
    starts: () => at,
    options: {
      signal: new AbortController().signal,
      run: () => {
        assert.ok(at < runs.length, "started once too often");
        const { code, seconds } = runs[at++];
        clock += 1000 * seconds;
        return Promise.resolve(code);
      },
      now: () => clock,
      wait: (milliseconds: number) => {
        clock += milliseconds;
        waits.push(milliseconds);
        return Promise.resolve();
      },
    },
  };
}

const short = (code: number) => ({ code, seconds: 1 });

Deno.test("final codes are passed on at once: done, wrong settings, wrong version", async () => {
  for (const code of [0, 2, 10]) {
    const program = scripted([short(code)]);
    assert.equal(await supervise({ ...program.options, rules: CLIENT_RESTARTS }), code);
    assert.equal(program.starts(), 1);
  }
});

Deno.test("a crash is followed by a start after five seconds, until a final code", async () => {
  const program = scripted([short(1), short(137), short(10)]);
  assert.equal(await supervise({ ...program.options, rules: CLIENT_RESTARTS }), 10);
  assert.deepEqual(program.waits, [5_000, 5_000]);
});

Deno.test("the fifth short run in a row is the last one", async () => {
  const program = scripted(Array.from({ length: 5 }, () => short(1)));
  assert.equal(await supervise({ ...program.options, rules: CLIENT_RESTARTS }), 1);
  assert.equal(program.starts(), 5);
});

Deno.test("a run of 120 seconds forgives the short ones before it; one of 119 does not", async () => {
  const four = Array.from({ length: 4 }, () => short(1));
  const forgiven = scripted([...four, { code: 1, seconds: 120 }, ...four, short(0)]);
  assert.equal(await supervise({ ...forgiven.options, rules: CLIENT_RESTARTS }), 0);
  const not = scripted([...four, { code: 1, seconds: 119.9 }]);
  assert.equal(await supervise({ ...not.options, rules: CLIENT_RESTARTS }), 1);
});

Deno.test("starts end exactly as the rules say, whatever the program does", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const run = fc.record({
    code: fc.constantFrom(0, 1, 2, 10, 137),
    seconds: fc.constantFrom(1, 119, 120, 500),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(run, { maxLength: 30 }), async (runs) => {
      // With a final run at the end each sequence is finite.
      const program = scripted([...runs, short(0)]);
      const code = await supervise({ ...program.options, rules: CLIENT_RESTARTS });
      let failures = 0;
      const last = [...runs, short(0)].findIndex(({ code, seconds }) => {
        if ([0, 2, 10].includes(code)) return true;
        failures = seconds >= 120 ? 0 : failures + 1;
        return failures === 5;
      });
      assert.equal(program.starts(), last + 1);
      assert.equal(code, failures === 5 ? 1 : [...runs, short(0)][last].code);
    }),
    { seed, numRuns: 200 },
  ).catch((error) => {
    console.log(`seed ${seed}`);
    throw error;
  });
});

Deno.test("until success there is no limit", async () => {
  const program = scripted([...Array.from({ length: 40 }, () => short(3)), short(0)]);
  assert.equal(await supervise({ ...program.options, rules: UNTIL_SUCCESS }), 0);
  assert.equal(program.starts(), 41);
});

Deno.test("an abort ends it with 0: during the wait, and during a run that then fails", async () => {
  const during = new AbortController();
  const wait = supervise({
    rules: CLIENT_RESTARTS,
    signal: during.signal,
    run: () => Promise.resolve(1),
    onExit: () => queueMicrotask(() => during.abort()),
  });
  assert.equal(await wait, 0);

  const running = new AbortController();
  const run = supervise({
    rules: CLIENT_RESTARTS,
    signal: running.signal,
    run: (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(143))),
  });
  running.abort();
  assert.equal(await run, 0);
});
