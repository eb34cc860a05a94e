import { counted } from "./counted.ts";

/** What a user wants to know after a fleet was started. */
export function startedLine(containers: string[], runId: string): string {
  return `${counted(containers.length, "client")} started for run ${runId}; ` +
    `follow one with: docker logs -f ${containers[0]}`;
}
