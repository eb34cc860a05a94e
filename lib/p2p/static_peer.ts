/** Peers named by hand: `<hexkey>@host:port`. */

import { PsycheError } from "../error.ts";
import { isAddress } from "./address_record.ts";

/**
 * Reads one static peer. Host names are resolved when dialled; IPv6 addresses stand in brackets.
 * @throws PsycheError `STATIC_PEER_INVALID`
 */
export function parseStaticPeer(text: string): { key: string; address: string } {
  const match = /^([0-9a-fA-F]{64})@(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/@\s]+)):(\d{1,5})$/.exec(text);
  if (match !== null) {
    const [, key, ip6, host, port] = match;
    const address = hostAddress(ip6 ?? host, Number(port));
    if (Number(port) >= 1 && isAddress(address)) return { key: key.toLowerCase(), address };
  }
  throw new PsycheError(
    "STATIC_PEER_INVALID",
    `"${text}" is not a static peer; write <64 hex digits of its key>@<host>:<port>.`,
  );
}

/** The multiaddress of a host (name, IPv4 or IPv6 without brackets) and a TCP port. */
export function hostAddress(host: string, port: number): string {
  const kind = host.includes(":") ? "ip6" : /^\d+(\.\d+){3}$/.test(host) ? "ip4" : "dns";
  return `/${kind}/${host}/tcp/${port}`;
}
