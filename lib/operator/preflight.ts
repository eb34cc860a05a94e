/** The checks that come before a transaction. */
import type { PublicKey } from "@solana/web3.js";
import { readProgram } from "../chain/deploy.ts";
import { readProgramIds } from "../chain/program_ids_table.ts";
import { type ProgramIds, treasurerId } from "../chain/programs.ts";
import { PsycheError } from "../error.ts";
import type { OperatorContext } from "./context.ts";
import { formatSol } from "./lamports.ts";

/** PROGRAM_NOT_DEPLOYED unless an executable program stands at the id. */
export async function checkProgram(
  context: OperatorContext,
  name: keyof ProgramIds,
): Promise<PsycheError[]> {
  const id = programId(context.programIds, name);
  const program = await readProgram(context.connection, id);
  if (program.exists && program.executable) return checkOwnId(context, name, id, program.bytes);
  return [
    new PsycheError(
      "PROGRAM_NOT_DEPLOYED",
      `The ${name} program ${id.toBase58()} is not deployed on ${context.cluster}; ` +
        `deploy it with deploy-solana-test or give --${name}-program-id.`,
    ),
  ];
}

/** A program that is bound to another address would answer every instruction with error 4100. */
function checkOwnId(
  context: OperatorContext,
  name: keyof ProgramIds,
  id: PublicKey,
  bytes: Uint8Array,
): PsycheError[] {
  const own = readProgramIds(bytes, 1)?.[0];
  // Programs of other makers have no such table.
  if (own === undefined || own.equals(id)) return [];
  return [
    new PsycheError(
      "PROGRAM_ID_MISMATCH",
      `The ${name} program at ${id.toBase58()} on ${context.cluster} was built for the address ` +
        `${own.toBase58()} and refuses every call; deploy it anew with deploy-solana-test, or give ` +
        `--${name}-program-id.`,
    ),
  ];
}

/** The address of a program; the treasurer's defaults to the declared one. */
export function programId(ids: ProgramIds, name: keyof ProgramIds): PublicKey {
  return name === "treasurer" ? treasurerId(ids) : ids[name];
}

/**
 * BALANCE_TOO_LOW unless the payer has `needed` lamports.
 *
 * @param otherWay asked for what else the user could do, when the balance is too low
 */
export async function checkBalance(
  context: OperatorContext,
  needed: number,
  purpose: string,
  otherWay?: () => Promise<string | null>,
): Promise<PsycheError[]> {
  const address: PublicKey = context.payer.publicKey;
  const balance = await context.connection.getBalance(address);
  if (balance >= needed) return [];
  const other = await otherWay?.() ?? null;
  return [
    new PsycheError(
      "BALANCE_TOO_LOW",
      `The wallet ${address.toBase58()} holds ${formatSol(balance)} on ${context.cluster}, and ` +
        `${purpose} needs ${formatSol(needed)}; fund it (${fundingHint(context.cluster)})${
          other === null ? "" : `, or ${other}`
        }.`,
    ),
  ];
}

function fundingHint(cluster: string): string {
  if (cluster.startsWith("localnet")) return "by an airdrop of its faucet";
  if (cluster === "mainnet") return "transfer SOL to it";
  return "https://faucet.solana.com, or transfer SOL to it";
}
