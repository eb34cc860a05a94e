/**
 * The table of program ids inside a program file: a 16-byte marker, then 32-byte ids (the program's
 * own first). Patching it binds the same build to other addresses.
 */
import { PublicKey } from "@solana/web3.js";
import { PsycheError } from "../error.ts";

const MARKER = new TextEncoder().encode("PSYCHE-PROG-IDS\0");

/**
 * A copy of the program file `so` with `ids` in its table: its own id first, then those of the
 * programs it refers to (the authorizer, for the coordinator).
 * @throws PsycheError PROGRAM_ID_TABLE_MISSING, PROGRAM_ID_TABLE_AMBIGUOUS, PROGRAM_ID_TABLE_TOO_SHORT
 */
export function bindProgramIds(so: Uint8Array, ids: PublicKey[]): Uint8Array {
  const positions = markerPositions(so);
  if (positions.length === 0) {
    throw new PsycheError(
      "PROGRAM_ID_TABLE_MISSING",
      "The program file has no table of program ids, so it works only at the address it was built for; deploy it there or use a program file of this toolkit.",
    );
  }
  if (positions.length > 1) {
    throw new PsycheError(
      "PROGRAM_ID_TABLE_AMBIGUOUS",
      `The program file has ${positions.length} tables of program ids where one is expected; rebuild it.`,
    );
  }
  const start = positions[0] + MARKER.length;
  if (start + 32 * ids.length > so.length) {
    throw new PsycheError(
      "PROGRAM_ID_TABLE_TOO_SHORT",
      `The program file ends inside its table of program ids, ${ids.length} ids do not fit; rebuild it.`,
    );
  }
  const bound = new Uint8Array(so);
  ids.forEach((id, i) => bound.set(id.toBytes(), start + 32 * i));
  return bound;
}

/** The first `count` ids of the table of a program; undefined when it has no such table. */
export function readProgramIds(so: Uint8Array, count: number): PublicKey[] | undefined {
  const positions = markerPositions(so);
  const start = positions[0] + MARKER.length;
  if (positions.length !== 1 || start + 32 * count > so.length) return undefined;
  return Array.from(
    { length: count },
    (_, i) => new PublicKey(so.slice(start + 32 * i, start + 32 * (i + 1))),
  );
}

function markerPositions(so: Uint8Array): number[] {
  const positions: number[] = [];
  for (let at = so.indexOf(MARKER[0]); at >= 0; at = so.indexOf(MARKER[0], at + 1)) {
    if (MARKER.every((byte, i) => so[at + i] === byte)) positions.push(at);
  }
  return positions;
}
