import { PsycheError } from "../error.ts";
import type { Startup } from "./start_container.ts";

/** How long new clients are watched, and how often they are looked at. */
export const STARTUP_WATCH = {
  /** A client that fails at once is started again five times, with pauses: then it has ended by now. */
  limitMilliseconds: 60_000,
  pollMilliseconds: 500,
};

/**
 * Waits for the startups of several clients and tells what came of each.
 *
 * @throws PsycheError `CLIENTS_ENDED` with the last words of those that did; what a startup throws
 */
export async function reportStartups(
  startups: { name: string; startup: Promise<Startup> }[],
  say: (line: string) => void,
): Promise<void> {
  const reports = startups.map(async ({ name, startup }) => report(name, await startup, say));
  // Each of them ends its docker command, also when another one fails.
  await Promise.allSettled(reports);
  const problems = (await Promise.all(reports)).filter((problem) => problem !== undefined);
  if (problems.length === 0) return;
  throw new PsycheError(
    "CLIENTS_ENDED",
    `${problems.length} of ${startups.length} clients ended when they had just been started; mend ` +
      `what they say and start them again:\n${problems.join("\n")}`,
  );
}

/** The problem, if there is one. */
function report(name: string, startup: Startup, say: (line: string) => void): string | undefined {
  if (startup.state === "ended") {
    return `${name} ended with exit code ${startup.exitCode}${lastWords(startup.lastLines)}`;
  }
  say(
    startup.state === "healthy"
      ? `${name} started`
      : `${name} runs, but accepts no peers yet${lastWords(startup.lastLines)}`,
  );
}

function lastWords(lines: string[]): string {
  if (lines.length === 0) return " without a word";
  return `; its last words:${lines.map((line) => `\n  ${line}`).join("")}`;
}
