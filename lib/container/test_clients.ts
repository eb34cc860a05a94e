/** Clients for tests: each makes a wallet of its own, which the cluster's faucet fills. */
import { type FleetOptions, startFleet } from "./start_fleet.ts";

/**
 * Starts `psyche-test-client-1` to `-n`.
 *
 * @returns their names
 * @throws PsycheError as {@linkcode startFleet}
 */
export async function startTestClients(clients: number, options: FleetOptions): Promise<string[]> {
  const members = Array.from({ length: clients }, (_, i) => ({
    name: `psyche-test-client-${i + 1}`,
    image: "psyche-test-client",
    command: ["train"],
    network: "bridge" as const,
  }));
  return await startFleet(members, options);
}
