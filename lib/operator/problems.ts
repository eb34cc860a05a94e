/** Pre-flight checks report everything that is wrong at once. */
import { PsycheError } from "../error.ts";

/** A single problem keeps its own code; several become one PREFLIGHT_FAILED that lists them. */
export function throwProblems(problems: PsycheError[]): void {
  if (problems.length === 0) return;
  if (problems.length === 1) throw problems[0];
  const list = problems.map(({ code, message }) => `  - [${code}] ${message}`).join("\n");
  throw new PsycheError(
    "PREFLIGHT_FAILED",
    `${problems.length} things stand in the way, and nothing was sent:\n${list}`,
  );
}
