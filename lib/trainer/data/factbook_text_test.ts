import assert from "node:assert/strict";
import { profileName, profileText } from "./factbook_text.ts";

const profile = {
  Introduction: { Background: { text: "Once  large,\nnow small" } },
  Geography: {
    Area: { total: { text: "5 sq km ++ all land" }, note: { text: "is it?" } },
    "Area - comparative": { text: null, map: { text: "" } },
  },
  Government: {
    "Country name": {
      "conventional long form": { text: "Republic of Example" },
      "conventional short form": { text: "none" },
    },
  },
};

Deno.test("a profile becomes one line a field", () => {
  assert.equal(
    profileText(profile, "Example"),
    [
      "Example. Background: Once large, now small.",
      "Example. Area, total: 5 sq km; all land.",
      "Example. Area, note: is it?",
      "Example. Country name, conventional long form: Republic of Example.",
      "Example. Country name, conventional short form: none.",
    ].join("\n"),
  );
});

Deno.test("names: the first usable form, without explanations, else a known or the code itself", () => {
  assert.equal(profileName(profile, "ex"), "Republic of Example");
  const named = (text: string) => ({
    Government: { "Country name": { "conventional short form": { text } } },
  });
  assert.equal(profileName(named("Svalbard (sometimes called so)"), "sv"), "Svalbard");
  assert.equal(profileName(named("Baker Island; Howland Island"), "um"), "Baker Island");
  assert.equal(profileName({}, "xx"), "World");
  assert.equal(profileName({ Government: null }, "qq"), "QQ");
});
