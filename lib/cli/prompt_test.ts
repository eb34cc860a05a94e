import assert from "node:assert/strict";
import { confirmOrThrow } from "./prompt.ts";

const never = () => assert.fail("nobody may be asked");

Deno.test("--yes asks nobody", async () => {
  await confirmOrThrow("Sure?", { yes: true, terminal: false, ask: never });
});

Deno.test("without a terminal the question is an error that names --yes", async () => {
  await assert.rejects(confirmOrThrow("Sure?", { yes: false, terminal: false, ask: never }), {
    code: "CONFIRMATION_NEEDED",
    message: /Sure\?.*--yes/,
  });
});

Deno.test("anything but a yes cancels", async () => {
  const answer = (value: boolean) => () => Promise.resolve(value);
  await confirmOrThrow("Sure?", { yes: false, terminal: true, ask: answer(true) });
  await assert.rejects(
    confirmOrThrow("Sure?", { yes: false, terminal: true, ask: answer(false) }),
    { code: "CANCELLED" },
  );
});
