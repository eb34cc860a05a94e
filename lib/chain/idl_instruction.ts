/** Instructions from an Anchor IDL: data by Anchor's coder, account flags from the IDL itself. */
import { BorshInstructionCoder, type Idl } from "@coral-xyz/anchor";
import { PublicKey, TransactionInstruction } from "@solana/web3.js";
import { PsycheError } from "../error.ts";

/**
 * A function that builds instructions of one program.
 *
 * `name`, `args` and `accounts` are the IDL's own (snake case) names; accounts with a fixed address
 * are filled in.
 */
export function instructionBuilder(idl: Idl) {
  const coder = new BorshInstructionCoder(idl);
  return (
    programId: PublicKey,
    name: string,
    args: Record<string, unknown>,
    accounts: Record<string, PublicKey>,
  ): TransactionInstruction => {
    const definition = idl.instructions.find((instruction) => instruction.name === name);
    if (!definition) throw mismatch(idl, name, "has no such instruction");
    for (const field of definition.args) {
      if (!(field.name in args)) throw mismatch(idl, name, `needs the argument ${field.name}`);
    }
    const keys = definition.accounts.map((account) => {
      if ("accounts" in account) throw mismatch(idl, name, "uses nested accounts");
      const fixed = account.address ? new PublicKey(account.address) : undefined;
      const pubkey = accounts[account.name] ?? fixed;
      if (!pubkey) throw mismatch(idl, name, `needs the account ${account.name}`);
      return { pubkey, isSigner: account.signer ?? false, isWritable: account.writable ?? false };
    });
    return new TransactionInstruction({ programId, keys, data: coder.encode(name, args) });
  };
}

function mismatch(idl: Idl, name: string, problem: string): PsycheError {
  return new PsycheError(
    "IDL_MISMATCH",
    `The IDL of ${idl.metadata.name} and the toolkit disagree about "${name}": it ${problem}; use the IDL files of this version.`,
  );
}
