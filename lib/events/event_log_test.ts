import assert from "node:assert/strict";
import type { PsycheError } from "../error.ts";
import type { TimedEvent } from "./event.ts";
import { readEventLines } from "./event_lines.ts";
import { openEventLog } from "./event_log.ts";
import { lossyLines } from "./lossy_lines.ts";

const event = (epoch: number): TimedEvent => ({
  type: "joined",
  epoch,
  signature: "s",
  time: epoch,
  client: "A",
});

Deno.test("events are appended, line by line", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/events.jsonl`;
    for (const epoch of [1, 2]) {
      using log = openEventLog(path, assert.fail);
      log.write(event(epoch));
    }
    const events = await Array.fromAsync(readEventLines((await Deno.open(path)).readable));
    assert.deepEqual(events, [event(1), event(2)]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name: "a full disk costs the events, not the work: one warning, nothing thrown",
  ignore: Deno.build.os !== "linux",
  fn() {
    const warnings: PsycheError[] = [];
    using log = openEventLog("/dev/full", (error) => warnings.push(error));
    for (const epoch of [1, 2, 3]) log.write(event(epoch));
    assert.deepEqual(warnings.map(({ code }) => code), ["EVENTS_UNWRITABLE"]);
    assert.match(warnings[0].message, /log file \/dev\/full \(No space left.*\)/);
  },
});

Deno.test("after half a line the next one that is taken begins anew", () => {
  let text = "";
  let room = 8;
  const warnings: PsycheError[] = [];
  const write = lossyLines("a small disk", (line) => {
    text += line.slice(0, room);
    room -= line.length;
    if (room < 0) throw new Error("full");
  }, (error) => warnings.push(error));
  write("first\n");
  write("second\n");
  room = 100;
  write("third\n");
  write("fourth\n");
  assert.equal(text, "first\nse\nthird\nfourth\n");
  assert.equal(warnings.length, 1);
});
