/** Programs on a cluster for people. */
import type { VerifiedProgram } from "../operator/verify_program.ts";

const VERDICTS: Record<VerifiedProgram["verdict"], string> = {
  same: "the same as the program file",
  different: "NOT the same as the program file",
  absent: "no program there",
};

export function programLines(program: VerifiedProgram): string[] {
  const { name, address, verdict, sha256, expectedSha256, upgradeAuthority, boundIds } = program;
  const lines = [`${name} ${address}: ${VERDICTS[verdict]}`];
  if (verdict === "absent") return lines;
  lines.push(`  sha256 on chain ${sha256}`);
  if (verdict === "different") lines.push(`  sha256 expected ${expectedSha256}`);
  lines.push(`  upgrade authority ${upgradeAuthority ?? "none, the program is final"}`);
  for (const { program, found, expected } of boundIds) {
    lines.push(
      `  bound to ${program} ${found}${found === expected ? "" : `, expected ${expected}`}`,
    );
  }
  return lines;
}
