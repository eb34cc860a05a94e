/** The settings file of dockerised clients, config/client/.env; docs/protocol/commands.md section 4.2. */
import { resolve } from "node:path";
import { parseEnv } from "node:util";
import { PsycheError } from "../error.ts";

export const CLIENT_ENV_PATH = "config/client/.env";

/** Keys that are about this machine, or secret: no container gets them. */
const HOST_ONLY = [
  ...["WALLET_FILE", "WALLET_PATH", "WALLET_PRIVATE_KEY_PATH", "RAW_WALLET_PRIVATE_KEY"],
  ...["CONFIG_PATH", "CONFIG_FILE", "USE_GPU"],
];
const CLIENT_NEEDS = ["RPC", "WS_RPC", "RUN_ID"];
/** What the names of a localnet stand for. */
const LOCALNET: Record<string, string> = {
  RPC: "http://localhost:8899",
  WS_RPC: "ws://localhost:8900",
};
const ENDPOINTS = ["RPC", "WS_RPC", "RPC_2", "WS_RPC_2", "RPC_3", "WS_RPC_3"];

export type ClientEnv = Record<string, string>;

/**
 * Reads the file; quotes around values are no part of them, unlike in `docker --env-file`.
 *
 * @param required keys that must have a value; default: those that every client needs
 * @param files keys among them that name files, which must exist
 * @throws PsycheError `ENV_FILE_NOT_FOUND`, `ENV_INCOMPLETE` with everything that is missing
 */
export async function readClientEnv(
  { required = CLIENT_NEEDS, files = [], path = CLIENT_ENV_PATH }: {
    required?: string[];
    files?: string[];
    path?: string;
  },
): Promise<ClientEnv> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new PsycheError(
      "ENV_FILE_NOT_FOUND",
      `There is no ${path}; copy ${CLIENT_ENV_PATH}.example there and fill it in.`,
      { cause },
    );
  }
  const env = { ...parseEnv(text) } as ClientEnv;
  const problems = required.filter((key) => !env[key]).map((key) => `${key} is not set`);
  for (const key of files.filter((key) => env[key])) {
    const info = await Deno.stat(env[key]).catch(() => null);
    if (!info?.isFile) problems.push(`${key} names the file "${env[key]}", which does not exist`);
  }
  if (problems.length === 0) return env;
  throw new PsycheError(
    "ENV_INCOMPLETE",
    `${path} needs correcting:${problems.map((problem) => `\n  ${problem}`).join("")}`,
  );
}

/** An address that containers have for this machine, as it is on this machine itself; any other text stays. */
export function onThisMachine(address: string): string {
  return address.replace(/\/\/host\.docker\.internal(?=[:/]|$)/, "//127.0.0.1");
}

/** What a container of a client gets. */
export function containerEnv(env: ClientEnv): ClientEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([key, value]) => value !== "" && !HOST_ONLY.includes(key)),
  );
}

/**
 * Inside a container with a network of its own, loopback is the container and not this machine.
 *
 * @throws PsycheError `LOOPBACK_IN_CONTAINER` with the lines to write instead
 */
export function refuseLoopback(env: ClientEnv, path = CLIENT_ENV_PATH): void {
  const wrong = ENDPOINTS.filter((key) => env[key] && isLoopback(env[key]));
  if (wrong.length === 0) return;
  const better = wrong.map((key) => {
    const url = new URL(URL.canParse(env[key]) ? env[key] : LOCALNET[key.replace(/_\d$/, "")]);
    url.hostname = "host.docker.internal";
    return `${key}=${url.href.replace(/\/$/, "")}`;
  });
  throw new PsycheError(
    "LOOPBACK_IN_CONTAINER",
    `In a container ${
      wrong.join(" and ")
    } of ${path} would mean the container itself. To reach this ` +
      `machine write:\n  ${
        better.join("\n  ")
      }\nand let the validator listen on more than loopback ` +
      `(setup-localnet --bind-address 0.0.0.0).`,
  );
}

function isLoopback(url: string): boolean {
  if (url === "localhost" || url === "localnet") return true;
  if (!URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return hostname === "localhost" || hostname === "[::1]" || /^127\./.test(hostname);
}

export interface HostFile {
  path: string;
  /** `uid:gid` of its owner; a key file of mode 0600 is readable to nobody else. */
  user: string;
}

/** @throws Deno.errors.NotFound */
export async function hostFile(path: string): Promise<HostFile> {
  const absolute = resolve(path);
  const { uid, gid } = await Deno.stat(absolute);
  return { path: absolute, user: `${uid ?? 10001}:${gid ?? 10001}` };
}
