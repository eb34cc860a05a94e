/** Addresses of the form `host:port`. */
import { PsycheError } from "../error.ts";

const FORM = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/@[\]]+)):(\d{1,5})$/;

/** True for what {@linkcode parseHostPort} reads. */
export function isHostPort(text: string): boolean {
  const port = Number(FORM.exec(text)?.[3]);
  return port >= 1 && port <= 65_535;
}

/**
 * Reads `host:port`; an IPv6 address stands in brackets. The port is from 1 to 65535.
 *
 * @throws PsycheError `DATA_LOCATION_INVALID`
 */
export function parseHostPort(text: string): { hostname: string; port: number } {
  if (!isHostPort(text)) {
    throw new PsycheError(
      "DATA_LOCATION_INVALID",
      `The data server's address "${text.slice(0, 80)}" is not host:port; correct data_location.`,
    );
  }
  const [, bracketed, plain, port] = FORM.exec(text)!;
  return { hostname: bracketed ?? plain, port: Number(port) };
}
