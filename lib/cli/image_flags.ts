/** Flags of the commands that build images. */
import { type Flag, type Flags, text } from "./flag.ts";
import { commandLine } from "./command_line.ts";
import { CLUSTER_FLAGS, PROGRAM_FLAGS, SEND_FLAGS } from "./flag_sets.ts";

const accelerator: Flag<"cpu" | "cuda"> = {
  summary: "what ONNX Runtime computes on: cpu or cuda",
  placeholder: "<kind>",
  fallback: "cpu",
  parse(value) {
    if (value === "cpu" || value === "cuda") return value;
    throw new Error(`"${value}" is neither cpu nor cuda`);
  },
};

export const IMAGE_FLAGS = {
  ...CLUSTER_FLAGS,
  ...PROGRAM_FLAGS,
  yes: SEND_FLAGS.yes,
  accelerator,
  baseImage: text({ summary: "image to build on (default debian:bookworm-slim)" }),
} satisfies Flags;

/**
 * The address check as a process, with those of its flags that were given. The cluster's address goes
 * through the environment: it may hold an access key, and process lists show arguments.
 */
export function addressCheck(
  settings: {
    rpc: string;
    coordinatorProgramId?: string;
    authorizerProgramId?: string;
    yes: boolean;
  },
): { args: string[]; env: Record<string, string> } {
  const { rpc, coordinatorProgramId, authorizerProgramId, yes } = settings;
  const args = commandLine("coordinator-address-check", [
    ...(coordinatorProgramId ? ["--coordinator-program-id", coordinatorProgramId] : []),
    ...(authorizerProgramId ? ["--authorizer-program-id", authorizerProgramId] : []),
    ...(yes ? ["--yes"] : []),
  ]);
  return { args, env: { RPC: rpc } };
}
