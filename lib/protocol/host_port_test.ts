import assert from "node:assert/strict";
import { isHostPort, parseHostPort } from "./host_port.ts";

Deno.test("host and port are told apart, IPv6 in brackets", () => {
  assert.deepEqual(parseHostPort("data.example.com:20001"), {
    hostname: "data.example.com",
    port: 20001,
  });
  assert.deepEqual(parseHostPort("127.0.0.1:1"), { hostname: "127.0.0.1", port: 1 });
  assert.deepEqual(parseHostPort("[fe80::1]:65535"), { hostname: "fe80::1", port: 65535 });
  const wrong = ["", ":1", "h", "h:", "h:0", "h:65536", "h:1x", "::1:1", "a/b:1", "u@h:1", "[h]:1"];
  for (const text of wrong) {
    assert.equal(isHostPort(text), false, text);
    assert.throws(() => parseHostPort(text), { code: "DATA_LOCATION_INVALID" }, text);
  }
});
