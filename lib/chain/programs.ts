/**
 * Where the programs live and what they understand.
 *
 * The Anchor IDLs under `idl/` are the contract (docs/protocol/onchain-authorizer.md,
 * docs/protocol/onchain-coordinator.md, docs/protocol/onchain-treasurer.md). Program ids are a setting; the addresses inside the IDLs
 * are only the defaults.
 */
import { AnchorProvider, type Idl, Program } from "@coral-xyz/anchor";
import { type Connection, PublicKey } from "@solana/web3.js";
import authorizerJson from "../../idl/authorizer.json" with { type: "json" };
import coordinatorJson from "../../idl/coordinator.json" with { type: "json" };
import treasurerJson from "../../idl/treasurer.json" with { type: "json" };

/** Addresses of the two programs a run needs, and of the one that rewards need. */
export interface ProgramIds {
  authorizer: PublicKey;
  coordinator: PublicKey;
  /** Default: the id that the IDL declares. */
  treasurer?: PublicKey;
}

// A JSON import widens every literal to `string`, so the compiler cannot see that these are IDLs;
// idl_test.ts loads them with Anchor instead.
export const authorizerIdl = authorizerJson as unknown as Idl;
export const coordinatorIdl = coordinatorJson as unknown as Idl;
export const treasurerIdl = treasurerJson as unknown as Idl;

/** Every program whose instructions and errors the toolkit can name. */
export const knownIdls: readonly Idl[] = [authorizerIdl, coordinatorIdl, treasurerIdl];

/** The ids the programs declare on the public clusters (docs/protocol/onchain-common.md section 1). */
export function defaultProgramIds(): Required<ProgramIds> {
  return {
    authorizer: new PublicKey(authorizerIdl.address),
    coordinator: new PublicKey(coordinatorIdl.address),
    treasurer: new PublicKey(treasurerIdl.address),
  };
}

/** The treasurer's address: that of `ids`, or the declared one. */
export function treasurerId(ids: ProgramIds): PublicKey {
  return ids.treasurer ?? new PublicKey(treasurerIdl.address);
}

/** Anchor client of the authorizer at `ids.authorizer`. */
export function authorizerProgram(
  connection: Connection,
  ids: ProgramIds = defaultProgramIds(),
): Program {
  return anchorProgram(authorizerIdl, ids.authorizer, connection);
}

/** Anchor client of the coordinator at `ids.coordinator`. */
export function coordinatorProgram(
  connection: Connection,
  ids: ProgramIds = defaultProgramIds(),
): Program {
  return anchorProgram(coordinatorIdl, ids.coordinator, connection);
}

/** Anchor client of the treasurer at `ids.treasurer`. */
export function treasurerProgram(
  connection: Connection,
  ids: ProgramIds = defaultProgramIds(),
): Program {
  return anchorProgram(treasurerIdl, treasurerId(ids), connection);
}

function anchorProgram(idl: Idl, id: PublicKey, connection: Connection): Program {
  // Without a wallet: for building and reading; sending goes through send.ts.
  const readOnly = { connection } as AnchorProvider;
  return new Program({ ...idl, address: id.toBase58() }, readOnly);
}
