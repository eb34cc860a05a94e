import assert from "node:assert/strict";
import { type NetworkInterface, outsideAddress } from "./outside_address.ts";

const IPv4 = (name: string, address: string): NetworkInterface => ({
  name,
  family: "IPv4",
  address,
});
const loopback = IPv4("lo", "127.0.0.1");
const docker = IPv4("docker0", "172.17.0.1");
const own = IPv4("eth0", "192.0.2.7");

Deno.test("a server on every address is told by one that others reach", () => {
  const all: NetworkInterface[] = [
    loopback,
    { name: "eth0", family: "IPv6", address: "fe80::1" },
    docker,
    IPv4("eth1", "169.254.3.4"),
    own,
  ];
  assert.equal(outsideAddress("0.0.0.0", all), "192.0.2.7");
  assert.equal(outsideAddress("::", [loopback, docker]), "172.17.0.1");
  assert.equal(outsideAddress("0.0.0.0", [loopback]), undefined);
});

Deno.test("a server on one address is told by that", () => {
  assert.equal(outsideAddress("127.0.0.1", [loopback, own]), undefined);
  assert.equal(outsideAddress("192.0.2.7", [loopback, own]), undefined);
});
