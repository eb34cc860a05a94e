/** Solana's transaction errors in their JSON and text forms, and the JSON-RPC error type. */

/** As JSON-RPC writes it: `"BlockhashNotFound"` or `{ InstructionError: [0, { Custom: 1 }] }`. */
export type TransactionError = string | { [name: string]: unknown };

/** Names by the addon's numbering of errors without fields (LiteSVM 1.4.1). */
const TRANSACTION_ERRORS = [
  "AccountInUse",
  "AccountLoadedTwice",
  "AccountNotFound",
  "ProgramAccountNotFound",
  "InsufficientFundsForFee",
  "InvalidAccountForFee",
  "AlreadyProcessed",
  "BlockhashNotFound",
  "CallChainTooDeep",
  "MissingSignatureForFee",
  "InvalidAccountIndex",
  "SignatureFailure",
  "InvalidProgramForExecution",
  "SanitizeFailure",
  "ClusterMaintenance",
  "AccountBorrowOutstanding",
  "WouldExceedMaxBlockCostLimit",
  "UnsupportedVersion",
  "InvalidWritableAccount",
  "WouldExceedMaxAccountCostLimit",
  "WouldExceedAccountDataBlockLimit",
  "TooManyAccountLocks",
  "AddressLookupTableNotFound",
  "InvalidAddressLookupTableOwner",
  "InvalidAddressLookupTableData",
  "InvalidAddressLookupTableIndex",
  "InvalidRentPayingAccount",
  "WouldExceedMaxVoteCostLimit",
  "WouldExceedAccountDataTotalLimit",
  "MaxLoadedAccountsDataSizeExceeded",
  "ResanitizationNeeded",
  "InvalidLoadedAccountsDataSizeLimit",
  "UnbalancedTransaction",
  "ProgramCacheHitMaxLimit",
  "CommitCancelled",
];

/** Names by the addon's numbering of instruction errors without fields (LiteSVM 1.4.1). */
const INSTRUCTION_ERRORS = [
  "GenericError",
  "InvalidArgument",
  "InvalidInstructionData",
  "InvalidAccountData",
  "AccountDataTooSmall",
  "InsufficientFunds",
  "IncorrectProgramId",
  "MissingRequiredSignature",
  "AccountAlreadyInitialized",
  "UninitializedAccount",
  "UnbalancedInstruction",
  "ModifiedProgramId",
  "ExternalAccountLamportSpend",
  "ExternalAccountDataModified",
  "ReadonlyLamportChange",
  "ReadonlyDataModified",
  "DuplicateAccountIndex",
  "ExecutableModified",
  "RentEpochModified",
  "NotEnoughAccountKeys",
  "AccountDataSizeChanged",
  "AccountNotExecutable",
  "AccountBorrowFailed",
  "AccountBorrowOutstanding",
  "DuplicateAccountOutOfSync",
  "InvalidError",
  "ExecutableDataModified",
  "ExecutableLamportChange",
  "ExecutableAccountNotRentExempt",
  "UnsupportedProgramId",
  "CallDepth",
  "MissingAccount",
  "ReentrancyNotAllowed",
  "MaxSeedLengthExceeded",
  "InvalidSeeds",
  "InvalidRealloc",
  "ComputationalBudgetExceeded",
  "PrivilegeEscalation",
  "ProgramEnvironmentSetupFailure",
  "ProgramFailedToComplete",
  "ProgramFailedToCompile",
  "Immutable",
  "IncorrectAuthority",
  "AccountNotRentExempt",
  "InvalidAccountOwner",
  "ArithmeticOverflow",
  "UnsupportedSysvar",
  "IllegalOwner",
  "MaxAccountsDataAllocationsExceeded",
  "MaxAccountsExceeded",
  "MaxInstructionTraceLengthExceeded",
  "BuiltinProgramsMustConsumeComputeUnits",
  "BorshIoError",
];

/** What the addon's `err()` returns: an index or one of its small classes. */
export function transactionError(raw: unknown): TransactionError {
  if (typeof raw === "number") return TRANSACTION_ERRORS[raw] ?? "SanitizeFailure";
  const value = raw as { index?: number; accountIndex?: number; err?: () => unknown };
  if (typeof value.err === "function") {
    return { InstructionError: [value.index, instructionError(value.err())] };
  }
  if (typeof value.accountIndex === "number") {
    const name = (raw as object).constructor.name.replace("TransactionError", "");
    return { [name]: { account_index: value.accountIndex } };
  }
  return { DuplicateInstruction: value.index };
}

function instructionError(raw: unknown): unknown {
  if (typeof raw === "number") return INSTRUCTION_ERRORS[raw] ?? "GenericError";
  const value = raw as { code?: number };
  return typeof value.code === "number" ? { Custom: value.code } : "BorshIoError";
}

/** Texts that client libraries look for; every other error's text is made from its name. */
const TEXTS: Record<string, string> = {
  AccountNotFound: "Attempt to debit an account but found no record of a prior credit.",
  AlreadyProcessed: "This transaction has already been processed",
  BlockhashNotFound: "Blockhash not found",
  InsufficientFunds: "insufficient funds for instruction",
  InsufficientFundsForFee: "Insufficient funds for fee",
  InvalidAccountData: "invalid account data for instruction",
  InvalidInstructionData: "invalid instruction data",
  InvalidArgument: "invalid program argument",
  MissingRequiredSignature: "missing required signature for instruction",
  ProgramAccountNotFound: "Attempt to load a program that does not exist",
  SignatureFailure: "Transaction did not pass signature verification",
};

function words(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
}

/** One line of text for an error, as RPC error messages carry it. */
export function describeTransactionError(error: TransactionError): string {
  if (typeof error === "string") return TEXTS[error] ?? words(error);
  if ("InstructionError" in error) {
    const [index, inner] = error.InstructionError as [number, string | { Custom: number }];
    const text = typeof inner === "string"
      ? TEXTS[inner] ?? words(inner)
      : `custom program error: 0x${inner.Custom.toString(16)}`;
    return `Error processing Instruction ${index}: ${text}`;
  }
  if ("InsufficientFundsForRent" in error) {
    const { account_index } = error.InsufficientFundsForRent as { account_index: number };
    return `Transaction results in an account (${account_index}) with insufficient funds for rent`;
  }
  return JSON.stringify(error);
}

/** JSON-RPC codes, those of JSON-RPC 2.0 and those of Solana validators. */
export const RpcCode = {
  ParseError: -32700,
  InvalidRequest: -32600,
  MethodNotFound: -32601,
  InvalidParams: -32602,
  InternalError: -32603,
  SimulationFailed: -32002,
  SignatureInvalid: -32003,
  BlockNotAvailable: -32004,
  SlotSkipped: -32007,
  KeyExcluded: -32010,
  UnsupportedVersion: -32015,
  MinContextSlot: -32016,
} as const;

/** An error that goes to the RPC client as it is. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  constructor(readonly code: number, message: string, readonly data?: unknown) {
    super(message);
  }
}

/** A parameter that cannot be used. */
export function invalidParams(message: string): RpcError {
  return new RpcError(RpcCode.InvalidParams, `Invalid params: ${message}`);
}
