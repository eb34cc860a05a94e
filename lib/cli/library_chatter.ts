/** What libraries write to the console is for their developers, not for the users of a command. */

/** Sends warnings and errors of the console to `sink`, one text each; returns the way back. */
export function divertConsole(sink: (text: string) => void): () => void {
  const { warn, error } = console;
  console.warn = console.error = (...parts: unknown[]) => sink(parts.map(String).join(" "));
  return () => Object.assign(console, { warn, error });
}
