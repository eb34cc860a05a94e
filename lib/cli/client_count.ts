import type { Argument } from "./command.ts";

/** More clients than a coordinator takes make no sense. */
const MAX_CLIENTS = 256;

export const NUM_CLIENTS: Argument = {
  name: "NUM_CLIENTS",
  summary: "how many clients (default 1)",
  optional: true,
};

/** Reads the argument; `problems` is empty when it is a number of clients. */
export function clientCount(text = "1"): { clients: number; problems: string[] } {
  if (/^(0|[1-9]\d{0,3})$/.test(text) && Number(text) <= MAX_CLIENTS) {
    return { clients: Number(text), problems: [] };
  }
  return {
    clients: 0,
    problems: [`NUM_CLIENTS "${text}" is not a whole number from 0 to ${MAX_CLIENTS}`],
  };
}
