/** Opens a cluster for a command that is not the owner's. */
import { type Connection, Keypair } from "@solana/web3.js";
import type { ProgramIds } from "../chain/programs.ts";
import { closeOperator, openOperator } from "../operator/context.ts";
import type { CommandContext } from "./command.ts";
import type { CLUSTER_FLAGS, PROGRAM_FLAGS } from "./flag_sets.ts";
import { parseAddress, websocketFor } from "./with_operator.ts";

export interface ClusterContext {
  connection: Connection;
  /** `devnet`, `mainnet`, `localnet...`, see lib/operator/cluster_key.ts. */
  cluster: string;
  programIds: ProgramIds;
}

/** Connects, hands the cluster on, and disconnects. No wallet is needed. */
export async function withCluster<T>(
  command: CommandContext<typeof CLUSTER_FLAGS & typeof PROGRAM_FLAGS>,
  action: (context: ClusterContext) => Promise<T>,
): Promise<T> {
  const { settings, output, signal } = command;
  const { authorizerProgramId: authorizer, coordinatorProgramId: coordinator } = settings;
  const context = await openOperator({
    rpc: settings.rpc,
    wsRpc: websocketFor(command),
    programIds: {
      ...(authorizer ? { authorizer: parseAddress(authorizer, "--authorizer-program-id") } : {}),
      ...(coordinator
        ? { coordinator: parseAddress(coordinator, "--coordinator-program-id") }
        : {}),
    },
    payer: Keypair.generate(), // never signs: reading costs nothing
    signal,
  });
  try {
    output.say(`cluster ${context.cluster}`);
    return await action(context);
  } finally {
    await closeOperator(context);
  }
}
