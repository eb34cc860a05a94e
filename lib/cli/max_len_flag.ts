/** Room of a new program; docs/protocol/commands.md section 2.3. */
import { DEFAULT_MAX_LENGTH } from "../operator/deploy_programs.ts";
import { defaulted, type Flags, integer } from "./flag.ts";

export const MAX_LEN_FLAG = {
  maxLen: defaulted(
    integer({
      summary: "room of a new program for later versions, bytes; 100,000 lock about 0.7 SOL",
      min: 1,
      max: 10_000_000,
      environment: [],
    }),
    String(DEFAULT_MAX_LENGTH),
  ),
} satisfies Flags;
