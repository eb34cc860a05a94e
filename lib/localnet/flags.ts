/** The flags of the localnet command: the parser, and the options they stand for. */
import { Command, Option } from "commander";
import { PsycheError } from "../error.ts";
import { checkAccountSize } from "./bank.ts";
import { type GenesisProgram, parseAddress, RESERVED_PROGRAM_BYTES } from "./programs.ts";
import type { LocalnetOptions } from "./start.ts";
import type { AccountState } from "./svm.ts";

/** Flags as commander hands them over; lists are flat, in groups of the flag's values. */
export interface LocalnetFlags {
  bindAddress: string;
  rpcPort: number;
  wsPort?: number;
  clockRate: number;
  slotMs: number;
  bpfProgram?: string[];
  upgradeableProgram?: string[];
  reserveProgram?: string[];
  placeholder?: string;
  account?: string[];
  serve?: string[];
  json?: boolean;
  withParent?: boolean;
}

const EXAMPLES = `
Examples:
  deno task localnet
  deno task localnet --rpc-port 0 --json
  deno task localnet --clock-rate 20
  deno task localnet --serve data=./runs/data --bind-address 0.0.0.0
  deno task localnet --bpf-program <program id> ./program.so

Give the RPC address it prints to any Solana client. Ctrl+C ends it; nothing is kept.`;

/** The command's parser. Its `parse` throws commander's `CommanderError`, also after `--help`. */
export function localnetCommand(): Command {
  return new Command("localnet")
    .description(
      "A local Solana network in one process: JSON-RPC, subscriptions and a faucet over the real runtime.",
    )
    .option("--bind-address <ip>", "address to listen on", "127.0.0.1")
    .addOption(port("--rpc-port <port>", "port of HTTP; 0 takes any").default(8899))
    .addOption(port("--ws-port <port>", "port of websockets (default: RPC port + 1)"))
    .addOption(number("--clock-rate <n>", "chain seconds a wall second").default(1))
    .addOption(number("--slot-ms <ms>", "milliseconds a slot").default(400))
    .option("--bpf-program <id path...>", "put a program at ID (repeatable)")
    .option("--upgradeable-program <id path authority...>", "the same, upgradeable (repeatable)")
    .option(
      "--reserve-program <id authority...>",
      `put the placeholder at ID, upgradeable, with room for ${RESERVED_PROGRAM_BYTES} bytes (repeatable)`,
    )
    .option("--placeholder <path>", "program that stands in for reserved ones")
    .option("--account <address file...>", "put an account from its JSON file (repeatable)")
    .option("--serve <name=folder...>", "serve files at http://HOST:PORT/NAME/ (repeatable)")
    .option("--json", "print one line of JSON on standard output when ready")
    .addOption(new Option("--with-parent", "end when standard input ends").hideHelp())
    .addHelpText("after", EXAMPLES)
    .allowExcessArguments(false)
    .exitOverride();
}

function number(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string) => {
    const value = text.trim() === "" ? NaN : Number(text);
    if (Number.isFinite(value)) return value;
    throw usage(`${flags.split(" ")[0]} "${text}" is not a number`, "give one, for example 20");
  });
}

function port(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string) => {
    const value = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
    if (value <= 65_535) return value;
    throw usage(`${flags.split(" ")[0]} "${text}" is not a port`, "give a number from 0 to 65535");
  });
}

function usage(failure: string, next: string): PsycheError {
  return new PsycheError("LOCALNET_OPTION_INVALID", `${failure}; ${next}.`, { exitCode: 2 });
}

/**
 * Reads the files that the flags name.
 *
 * @throws PsycheError `LOCALNET_OPTION_INVALID`, `LOCALNET_FILE_UNREADABLE`, `ADDRESS_INVALID`,
 * `ACCOUNT_FILE_INVALID`
 */
export async function loadOptions(flags: LocalnetFlags): Promise<LocalnetOptions> {
  const programs: GenesisProgram[] = [];
  for (const [id, path] of groups(flags.bpfProgram, 2, "--bpf-program ID PATH")) {
    programs.push({ id, elf: await read(path) });
  }
  const upgradeable = "--upgradeable-program ID PATH AUTHORITY";
  for (const [id, path, authority] of groups(flags.upgradeableProgram, 3, upgradeable)) {
    programs.push({ id, elf: await read(path), authority });
  }
  const reserved = groups(flags.reserveProgram, 2, "--reserve-program ID AUTHORITY");
  if (reserved.length > 0 && !flags.placeholder) {
    throw usage("--reserve-program needs a program to put there", "add --placeholder PATH");
  }
  for (const [id, authority] of reserved) {
    const elf = await read(flags.placeholder!);
    programs.push({ id, elf, authority, room: RESERVED_PROGRAM_BYTES });
  }
  const accounts = [];
  for (const [address, path] of groups(flags.account, 2, "--account ADDRESS FILE")) {
    accounts.push({
      key: parseAddress(address, "The account"),
      account: accountFromJson(new TextDecoder().decode(await read(path)), path),
    });
  }
  return {
    bindAddress: flags.bindAddress,
    rpcPort: flags.rpcPort,
    wsPort: flags.wsPort,
    clockRate: flags.clockRate,
    slotMs: flags.slotMs,
    programs,
    accounts,
    folders: await folders(flags.serve ?? []),
  };
}

function groups(values: string[] | undefined, size: number, form: string): string[][] {
  const all = values ?? [];
  if (all.length % size !== 0) {
    throw usage(`${form} got ${all.length} values`, `give ${size} values each time`);
  }
  return Array.from({ length: all.length / size }, (_, i) => all.slice(i * size, (i + 1) * size));
}

async function folders(entries: string[]): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  for (const entry of entries) {
    const [, name, folder] = entry.match(/^([\w.-]+)=(.+)$/) ?? [];
    if (!name || name === "health") {
      throw usage(`--serve "${entry}" is not NAME=FOLDER`, "give for example data=./data");
    }
    const info = await Deno.stat(folder).catch(() => undefined);
    if (!info?.isDirectory) throw usage(`--serve "${entry}" names no folder`, "create it first");
    result.set(name, folder);
  }
  return result;
}

async function read(path: string): Promise<Uint8Array> {
  try {
    const { size } = await Deno.stat(path);
    checkAccountSize(size);
    return await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof PsycheError) throw cause;
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new PsycheError(
      "LOCALNET_FILE_UNREADABLE",
      `The file "${path}" cannot be read (${detail}); give the path of a readable file.`,
      { cause },
    );
  }
}

/** An account as `solana account --output json` writes it. @throws PsycheError `ACCOUNT_FILE_INVALID` */
export function accountFromJson(text: string, path: string): AccountState {
  try {
    const { account } = JSON.parse(text);
    const [base64, encoding] = account.data;
    if (encoding !== "base64" || typeof account.executable !== "boolean") throw new TypeError();
    const data = Uint8Array.fromBase64(base64);
    checkAccountSize(data.length);
    return {
      lamports: BigInt(account.lamports),
      data,
      owner: parseAddress(String(account.owner), "The owner"),
      executable: account.executable,
      rentEpoch: 0n,
    };
  } catch (cause) {
    throw new PsycheError(
      "ACCOUNT_FILE_INVALID",
      `The file "${path}" is no account; write it with "solana account ADDRESS --output json".`,
      { cause },
    );
  }
}
