/** Addresses of the form `host:port`. */
import { PsycheError } from "../../error.ts";

/**
 * Reads `host:port`; an IPv6 address stands in brackets. The port is from 1 to 65535.
 *
 * @throws PsycheError `DATA_LOCATION_INVALID`
 */
export function parseHostPort(text: string): { hostname: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/@[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) {
    throw new PsycheError(
      "DATA_LOCATION_INVALID",
      `The data server's address "${text.slice(0, 80)}" is not host:port; correct data_location.`,
    );
  }
  return { hostname: match[1] ?? match[2], port };
}
