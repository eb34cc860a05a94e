/** Is everything there that a client or an owner needs? Every check answers for itself. */
import type { Connection, PublicKey } from "@solana/web3.js";
import { clusterClock } from "../chain/cluster_clock.ts";
import { readProgram } from "../chain/deploy.ts";
import { PsycheError } from "../error.ts";
import { canJoin } from "./can_join.ts";
import type { ReaderContext } from "./context.ts";
import { formatSol } from "./lamports.ts";
import { programId } from "./preflight.ts";

export interface Finding {
  what: string;
  verdict: "good" | "warning" | "bad";
  detail: string;
}

export interface ExamineOptions {
  /** The wallet to look at. */
  address?: PublicKey;
  /** The run that the wallet wants to join. */
  runId?: string;
  authorizer?: PublicKey;
}

/** More than this and ticks come too early or too late. */
const MAX_SKEW_SECONDS = 2;
/** Fees of about a day of training. */
const LEAST_LAMPORTS = 20_000_000;
const SOCKET_LIMIT_MILLIS = 10_000;

/** Never throws for what a check finds; only for an interruption. */
export async function examineCluster(
  context: ReaderContext,
  options: ExamineOptions,
): Promise<Finding[]> {
  const { connection, cluster } = context;
  const isLocal = cluster.startsWith("localnet");
  const checks: [string, () => Promise<Omit<Finding, "what">>][] = [
    ["RPC", async () => {
      const start = performance.now();
      const version = await connection.getVersion();
      const millis = Math.round(performance.now() - start);
      return good(`${cluster}, version ${version["solana-core"]}, answers in ${millis} ms`);
    }],
    ["websocket", () => examineSocket(connection, context.signal)],
    ["clock", async () => {
      const { now } = await clusterClock(connection);
      const skew = (Date.now() - now()) / 1000;
      const detail = `${skew.toFixed(1)} s between this machine and the cluster`;
      if (isLocal || Math.abs(skew) <= MAX_SKEW_SECONDS) return good(detail);
      return { verdict: "warning", detail: `${detail}; set this machine's clock` };
    }],
    ...(["authorizer", "coordinator"] as const).map((
      name,
    ): [string, () => Promise<Omit<Finding, "what">>] => [`${name} program`, async () => {
      const id = programId(context.programIds, name);
      const { executable } = await readProgram(connection, id);
      if (executable) return good(id.toBase58());
      return { verdict: "bad", detail: `${id.toBase58()} is not deployed; see deploy-solana-test` };
    }]),
  ];
  const { address, runId, authorizer } = options;
  if (address !== undefined) {
    checks.push(["balance", async () => {
      const balance = await connection.getBalance(address);
      const detail = `${address.toBase58()} holds ${formatSol(balance)}`;
      if (isLocal || balance >= LEAST_LAMPORTS) return good(detail);
      return { verdict: "warning", detail: `${detail}, less than a day of training costs` };
    }]);
  }
  if (address !== undefined && runId !== undefined) {
    checks.push([`run "${runId}"`, async () => {
      const { state, clientVersion } = await canJoin(context, { runId, address, authorizer });
      return good(`the wallet can join; "${state}", client version ${clientVersion}`);
    }]);
  }
  const findings: Finding[] = [];
  for (const [what, check] of checks) findings.push({ what, ...await attempt(check, context) });
  return findings;
}

async function attempt(
  check: () => Promise<Omit<Finding, "what">>,
  { signal }: ReaderContext,
): Promise<Omit<Finding, "what">> {
  try {
    return await check();
  } catch (error) {
    signal?.throwIfAborted();
    const detail = error instanceof Error ? error.message : String(error);
    // What is no error of ours may name anything, so it is cut to one line.
    return {
      verdict: "bad",
      detail: error instanceof PsycheError ? detail : detail.split("\n")[0],
    };
  }
}

/** A slot changes several times a second, so its news must come soon. */
async function examineSocket(
  connection: Connection,
  signal?: AbortSignal,
): Promise<Omit<Finding, "what">> {
  const start = performance.now();
  const news = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => news.resolve(false), SOCKET_LIMIT_MILLIS);
  const onAbort = () => news.resolve(false);
  signal?.addEventListener("abort", onAbort, { once: true });
  const subscription = connection.onSlotChange(() => news.resolve(true));
  try {
    if (await news.promise) {
      return good(`first news after ${Math.round(performance.now() - start)} ms`);
    }
    return {
      verdict: "bad",
      detail: `no news within ${SOCKET_LIMIT_MILLIS / 1000} s; check --ws-rpc and firewalls`,
    };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    await connection.removeSlotChangeListener(subscription).catch(() => {});
  }
}

function good(detail: string): Omit<Finding, "what"> {
  return { verdict: "good", detail };
}
