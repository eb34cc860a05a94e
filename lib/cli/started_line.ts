import { counted } from "./counted.ts";

/** What a user wants to know after a fleet was started. */
export function startedLine(containers: string[], runId: string): string {
  const started = `${counted(containers.length, "client")} started for run ${runId}`;
  if (containers.length === 0) return started;
  return `${started}; follow one with: docker logs -f ${containers[0]}`;
}
