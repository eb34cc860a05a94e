/** A localnet with the programs on it and no run; docs/protocol/docker.md section 4.3. */
import type { Keypair } from "@solana/web3.js";
import { join } from "node:path";
import { closeConnection } from "../chain/connection.ts";
import { defaultProgramIds } from "../chain/programs.ts";
import { type SpawnedLocalnet, spawnLocalnet } from "../localnet/spawn.ts";
import { airdropUpTo } from "./airdrop.ts";
import { openOperator, type OperatorContext } from "./context.ts";
import { deployPrograms, type DeployResult, type ProgramName } from "./deploy_programs.ts";
import { LAMPORTS_PER_SOL } from "./lamports.ts";
import { wantedEnd } from "./localnet_end.ts";
import { readProgramFile } from "./program_file.ts";

export interface TestValidatorOptions {
  bindAddress: string;
  rpcPort: number;
  /** Chain seconds per wall second. */
  clockRate: number;
  /** Deploys the programs and may upgrade them. */
  wallet: Keypair;
  programsDirectory: string;
  /** Served at `<rpcUrl>/data/`. */
  dataDirectory: string;
  signal: AbortSignal;
}

export interface TestValidator {
  localnet: SpawnedLocalnet;
  /** Connected; for streaming logs. */
  context: OperatorContext;
  deployed: DeployResult;
  /** Resolves when it was stopped or interrupted; rejects with LOCALNET_ENDED when it died. */
  finished(): Promise<void>;
  stop(): Promise<void>;
}

/** Three programs lock about 11 SOL. */
const DEPLOYER_SOL = 100;

/**
 * Starts the localnet and deploys authorizer, coordinator and treasurer at their declared addresses.
 *
 * @throws PsycheError `PORT_TAKEN`, `LOCALNET_START_FAILED`, and those of the deployment; nothing is left
 *   running then
 */
export async function startTestValidator(options: TestValidatorOptions): Promise<TestValidator> {
  const { wallet, programsDirectory, signal } = options;
  const authority = wallet.publicKey.toBase58();
  const localnet = await spawnLocalnet({
    bindAddress: options.bindAddress,
    rpcPort: options.rpcPort,
    clockRate: options.clockRate,
    placeholder: join(programsDirectory, "placeholder.so"),
    reservedPrograms: Object.values(defaultProgramIds()).map((id) => ({
      id: id.toBase58(),
      authority,
    })),
    serve: [{ name: "data", folder: options.dataDirectory }],
  }, { signal });
  let context: OperatorContext | null = null;
  let stopped = false;
  const stop = async () => {
    stopped = true;
    if (context !== null) await closeConnection(context.connection);
    await localnet.stop();
  };
  try {
    const { rpcUrl: rpc, wsUrl: wsRpc } = localnet;
    context = await openOperator({ rpc, wsRpc, payer: wallet, signal });
    await airdropUpTo(
      context.connection,
      wallet.publicKey,
      DEPLOYER_SOL * LAMPORTS_PER_SOL,
      signal,
    );
    const program = async (name: ProgramName) => ({
      so: await readProgramFile(join(programsDirectory, `${name}.so`)),
    });
    const deployed = await deployPrograms(context, {
      programs: {
        authorizer: await program("authorizer"),
        coordinator: await program("coordinator"),
        treasurer: await program("treasurer"),
      },
    });
    const finished = () => wantedEnd(localnet, () => stopped || signal.aborted);
    return { localnet, context, deployed, finished, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
