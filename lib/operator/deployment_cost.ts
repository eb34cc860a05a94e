/** What a deployment of several programs costs, before it begins. */
import * as loader from "../chain/loader_v3.ts";

/** One program. */
export interface ProgramCost {
  action: "unchanged" | "upgrade" | "deploy";
  /** Size of the program file. */
  bytes: number;
  /** Its IDL goes on chain too. */
  withIdl: boolean;
}

export interface DeploymentCost {
  /** Rent that each program keeps for as long as it is there, lamports, in the order given. */
  locked: number[];
  /** The most that the payer has to have at any moment: rent, buffers and fees, lamports. */
  needed: number;
}

/** More than the account of any of the IDLs has, bytes. */
const MAX_IDL_ACCOUNT = 10_000;
/** Fee of a transaction that two keys sign. */
const FEE = 10_000;
/** Program bytes that a transaction carries, about. */
const BYTES_PER_WRITE = 900;

/**
 * One program after the other: a buffer's rent comes back when its program goes live.
 *
 * @param maxLength room of a new program, bytes; a larger program gets what it needs
 * @param rent rent-exempt minimum of an account of so many bytes, lamports
 */
export async function deploymentCost(
  programs: ProgramCost[],
  maxLength: number,
  rent: (bytes: number) => Promise<number>,
): Promise<DeploymentCost> {
  const locked: number[] = [];
  let [sum, fees, needed] = [0, 0, 0];
  for (const { action, bytes, withIdl } of programs) {
    const room = action === "deploy" ? Math.max(maxLength, bytes) : 0;
    const account = action === "deploy"
      ? await rent(loader.PROGRAM_DATA_HEADER_BYTES + room) +
        await rent(loader.PROGRAM_ACCOUNT_BYTES)
      : 0;
    const idl = action !== "unchanged" && withIdl ? await rent(MAX_IDL_ACCOUNT) : 0;
    const buffer = action === "unchanged" ? 0 : await rent(loader.BUFFER_HEADER_BYTES + bytes);
    if (action !== "unchanged") {
      fees += (Math.ceil(bytes / BYTES_PER_WRITE) + 4 + (withIdl ? 20 : 0)) * FEE;
    }
    needed = Math.max(needed, sum + Math.max(buffer, account + idl));
    locked.push(account + idl);
    sum += account + idl;
  }
  return { locked, needed: needed + fees };
}

/** The least room that fits all of the programs, as a number to type. */
export function leastRoom(programs: ProgramCost[]): number {
  return Math.ceil(Math.max(...programs.map(({ bytes }) => bytes)) / 1000) * 1000;
}
