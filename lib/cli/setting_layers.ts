/** Reads the files behind the settings: env file, run record, Solana CLI configuration. */
import { join } from "node:path";
import { parseEnv } from "node:util";
import { PsycheError } from "../error.ts";
import { resolveEndpoint } from "../chain/endpoint.ts";
import { onThisMachine } from "../container/client_env.ts";
import { localnetKey } from "../operator/cluster_key.ts";
import { parseRunRecord, type RunRecord } from "../operator/run_record.ts";
import { type Flags, text } from "./flag.ts";
import type { Runtime } from "./runtime.ts";
import { lookUp, type SettingLayers } from "./settings.ts";
import { parseSolanaConfig, SOLANA_CONFIG_PATH } from "./solana_config.ts";

export const ENV_FILE_PATH = "config/client/.env";
export const RUNS_DIRECTORY = "runs";

/** Settings that decide which files are read; a command has them or not, files are looked for anyway. */
const KEYS = {
  envFile: text({ summary: "" }),
  runId: text({ summary: "" }),
  rpc: text({ summary: "" }),
} satisfies Flags;

/**
 * Collects the layers below the flags.
 *
 * @param options `runRecords: false` for a command that is not about an existing run
 * @throws PsycheError ENV_FILE_NOT_FOUND for an env file that was asked for by name,
 * RUN_RECORD_INVALID, RUN_AMBIGUOUS when several clusters have the run and no RPC tells which
 */
export function loadLayers(
  flags: Record<string, string>,
  runtime: Runtime,
  { runRecords = true } = {},
): SettingLayers {
  const layers: SettingLayers = { flags, environment: runtime.environment };
  layers.envFile = readEnvFile(layers, runtime);
  const home = runtime.environment("HOME") ?? runtime.environment("USERPROFILE");
  if (home) {
    const path = join(home, SOLANA_CONFIG_PATH);
    const source = runtime.readTextFile(path);
    if (source !== undefined) layers.solanaConfig = { path, values: parseSolanaConfig(source) };
  }
  if (runRecords) layers.runRecord = findRunRecord(layers, runtime);
  return layers;
}

function readEnvFile(layers: SettingLayers, runtime: Runtime): SettingLayers["envFile"] {
  const asked = lookUp(KEYS, "envFile", layers)?.text;
  const path = asked ?? ENV_FILE_PATH;
  const source = runtime.readTextFile(path);
  if (source !== undefined) {
    // The file is for containers too, and their name for this machine means nothing here.
    const values = Object.entries(parseEnv(source))
      .map(([name, value]) => [name, onThisMachine(value ?? "")]);
    return { path, values: Object.fromEntries(values) };
  }
  if (asked === undefined) return undefined;
  throw new PsycheError(
    "ENV_FILE_NOT_FOUND",
    `There is no env file ${path}; check the path or leave --env-file out.`,
    { exitCode: 2 },
  );
}

function findRunRecord(layers: SettingLayers, runtime: Runtime): SettingLayers["runRecord"] {
  const runId = lookUp(KEYS, "runId", layers)?.text;
  if (runId === undefined) return undefined;
  const found: { path: string; record: RunRecord }[] = [];
  for (const cluster of runtime.listDirectory(RUNS_DIRECTORY)) {
    const path = join(RUNS_DIRECTORY, cluster, `${runId}.json`);
    // A run id with a separator would leave the folder; no record can have such a name.
    if (/[/\\]/.test(runId)) break;
    const source = runtime.readTextFile(path);
    if (source !== undefined) found.push({ path, record: parseRunRecord(source, path) });
  }
  const rpc = lookUp(KEYS, "rpc", layers)?.text;
  if (rpc !== undefined) return found.find(({ record }) => isOnCluster(record, rpc));
  if (found.length <= 1) return found[0];
  const clusters = found.map(({ record }) => record.cluster).join(", ");
  throw new PsycheError(
    "RUN_AMBIGUOUS",
    `Several clusters have a run "${runId}" (${clusters}); say which one with --rpc.`,
    { exitCode: 2 },
  );
}

function isOnCluster(record: RunRecord, rpc: string): boolean {
  try {
    const { rpcUrl } = resolveEndpoint(rpc);
    return record.rpcUrl === rpcUrl || record.cluster === localnetKey(rpcUrl);
  } catch {
    // A bad address is reported where it is used.
    return false;
  }
}
