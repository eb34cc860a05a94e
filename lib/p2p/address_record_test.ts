import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_RECORD_SIZE, parseAddressRecord, signAddressRecord } from "./address_record.ts";
import { PeerDirectory } from "./peer_directory.ts";
import { recordFrames } from "./record_exchange.ts";
import { createSigner } from "./signing.ts";
import { parseStaticPeer } from "./static_peer.ts";
import { topicOfRun } from "./topic.ts";

const NOW = 1_700_000_000_000;
const signer = createSigner(new Uint8Array(32).fill(3));
const key = signer.publicKey.toHex();
const topic = topicOfRun("run");

function record(sequence = 1, addresses = ["/ip4/127.0.0.1/tcp/4001"], expires = NOW + 1000) {
  return signAddressRecord(signer, topic, { sequence, addresses, expires });
}

Deno.test("a signed record is read back as it was signed", () => {
  const signed = record(5, ["/ip4/10.0.0.1/tcp/1", "/dns/client-1/tcp/2", "/ip6/::1/tcp/3"]);
  assert.deepEqual(parseAddressRecord(signed.text, topic, NOW), signed);
});

Deno.test("records of another run, expired, far ahead or changed are refused", () => {
  const { text } = record();
  assert.equal(parseAddressRecord(text, topicOfRun("other"), NOW), null);
  assert.equal(parseAddressRecord(text, topic, NOW + 1000), null);
  assert.equal(parseAddressRecord(record(1, [], NOW + 90_000_000).text, topic, NOW), null);
  assert.equal(parseAddressRecord(text.replace("4001", "4002"), topic, NOW), null);
  assert.equal(parseAddressRecord(text.replace("{", '{"more":1,'), topic, NOW), null);
  assert.equal(parseAddressRecord(record(1, ["/unix/tmp"]).text, topic, NOW), null);
});

Deno.test("hostile text is refused quietly", () => {
  const { text } = record();
  const edited = fc.tuple(fc.nat(text.length), fc.nat(8), fc.string({ maxLength: 8 }))
    .map(([at, cut, insert]) => text.slice(0, at) + insert + text.slice(at + cut))
    .filter((other) => other !== text);
  const value = fc.record({
    key: fc.oneof(fc.constant(key), fc.string(), fc.anything()),
    sequence: fc.anything(),
    addresses: fc.anything(),
    expires: fc.anything(),
    signature: fc.oneof(fc.constant("0".repeat(128)), fc.anything()),
  }).map((value) => {
    try {
      return JSON.stringify(value);
    } catch {
      return ""; // bigint and cycles have no JSON
    }
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), edited, value), (text) => {
      const parsed = parseAddressRecord(text, topic, NOW);
      // White space inside JSON may change and still be the same signed record.
      if (parsed !== null) assert.deepEqual(parsed, record());
      const directory = new PeerDirectory(topic, "");
      directory.setAllowed([key]);
      directory.offer(text, NOW);
    }),
    { numRuns: 500 },
  );
});

Deno.test("the directory takes allowed keys only, newer records only, and forgets with the list", () => {
  const directory = new PeerDirectory(topic, "own");
  assert.equal(directory.offer(record(1).text, NOW), null);
  directory.setAllowed([key]);
  assert.ok(directory.offer(record(2).text, NOW));
  assert.equal(directory.offer(record(2).text, NOW), null);
  assert.equal(directory.offer(record(1, ["/ip4/9.9.9.9/tcp/9"]).text, NOW), null);
  assert.equal(directory.offer(record(3).text, NOW, "0".repeat(64)), null);
  assert.ok(directory.offer(record(3, ["/ip4/10.0.0.3/tcp/3"]).text, NOW));
  assert.deepEqual(directory.addressesOf(key, NOW), ["/ip4/10.0.0.3/tcp/3"]);
  assert.deepEqual(directory.addressesOf(key, NOW + 5000), []);
  directory.setAllowed([]);
  assert.deepEqual(directory.records(NOW), []);
});

Deno.test("unsigned hints are bounded and checked", () => {
  const directory = new PeerDirectory(topic, "own");
  directory.hint(key, ["/ip4/1.1.1.1/tcp/1", "rubbish", "/ip4/1.1.1.1/udp/1"]);
  assert.deepEqual(directory.addressesOf(key, NOW), ["/ip4/1.1.1.1/tcp/1"]);
  for (let i = 0; i < 100; i++) directory.hint(key, [`/ip4/1.1.1.1/tcp/${i + 2}`]);
  assert.ok(directory.addressesOf(key, NOW).length <= 8);
});

Deno.test("record frames stay within the limit of the link and lose nothing", () => {
  const address = `/dns/${"a".repeat(140)}/tcp/65535`;
  const records = Array.from({ length: 256 }, (_, i) => record(i, Array(8).fill(address)));
  assert.ok(records[0].text.length <= MAX_RECORD_SIZE);
  const frames = recordFrames(records);
  const lines = frames.flatMap((f) => new TextDecoder().decode(f.subarray(1)).split("\n"));
  assert.ok(frames.every((frame) => frame.length <= 1 << 16));
  assert.deepEqual(lines, records.map((r) => r.text));
});

Deno.test("static peers", () => {
  const parsed = (host: string) => parseStaticPeer(`${key.toUpperCase()}@${host}`);
  assert.deepEqual(parsed("10.0.0.1:80"), { key, address: "/ip4/10.0.0.1/tcp/80" });
  assert.deepEqual(parsed("client-1:80"), { key, address: "/dns/client-1/tcp/80" });
  assert.deepEqual(parsed("[::1]:80"), { key, address: "/ip6/::1/tcp/80" });
  const bad = [
    "10.0.0.1",
    "10.0.0.1:0",
    "10.0.0.1:99999",
    "300.0.0.1:80",
    ":80",
    "a/b:80",
    "::1:80",
  ];
  for (const host of bad) {
    assert.throws(() => parsed(host), { code: "STATIC_PEER_INVALID" }, host);
  }
  fc.assert(fc.property(fc.string(), (text) => {
    assert.throws(() => parseStaticPeer(text), { code: "STATIC_PEER_INVALID" });
  }));
});
