/** Runs one command from the command line to the exit code. Used by scripts alone. */
import { PsycheError } from "../error.ts";
import { allFlags, type CommandDefinition, helpText, parseArguments } from "./command.ts";
import type { Flags, Values } from "./flag.ts";
import { toJson } from "./json.ts";
import { createOutput, type Output } from "./output.ts";
import { divertConsole } from "./library_chatter.ts";
import { denoRuntime, type Runtime, type StopSignal } from "./runtime.ts";
import { loadLayers } from "./setting_layers.ts";
import { resolveSettings, usageError } from "./settings.ts";
import { formatSettings, shownSettings } from "./show_config.ts";

/** `deno task` passes a Ctrl+C on that the terminal has sent already; nobody presses twice so fast. */
const ECHO_MILLISECONDS = 400;

/** 128 and the number of the signal. */
const EXIT_CODES: Record<StopSignal, number> = { SIGINT: 130, SIGTERM: 143 };

/**
 * Exit codes: 0 done, 1 failed, 2 wrong usage, 10 version mismatch. The first Ctrl+C (or SIGTERM)
 * aborts the command's signal, so that it can clean up; the second ends the process at once. A command
 * that was cut off ends as shells expect it: 130 after Ctrl+C, 143 after SIGTERM. One that runs until
 * it is stopped was not cut off: it returns, which is 0.
 */
export async function runCommand<F extends Flags>(
  definition: CommandDefinition<F>,
  runtime: Runtime = denoRuntime(),
): Promise<void> {
  const controller = new AbortController();
  let interrupted = 0;
  let interruption: PsycheError | undefined;
  const stopListening = runtime.onSignal((signal) => {
    if (controller.signal.aborted) {
      if (performance.now() - interrupted > ECHO_MILLISECONDS) runtime.exit(EXIT_CODES[signal]);
      return;
    }
    interrupted = performance.now();
    runtime.stderr(`\n${signal} received, stopping; once more to force it.\n`);
    interruption = new PsycheError(
      "INTERRUPTED",
      `${definition.name} was interrupted before it had finished.`,
      { exitCode: EXIT_CODES[signal] },
    );
    controller.abort(interruption);
  });
  const restoreConsole = divertConsole((text) => {
    if (isDebugging(runtime)) runtime.stderr(`${text}\n`);
  });
  // A promise that nobody awaited: the command is told to clean up, and then fails with it. Once a
  // command is stopping, the requests that this cuts off are no news.
  let fault: unknown;
  const ignoreFaults = runtime.onUnhandled((reason) => {
    if (controller.signal.aborted) return;
    fault = reason;
    controller.abort(toPsycheError(reason, definition.name));
  });
  const output = createOutput(runtime, { json: wantsJson(runtime) });
  let code = 0;
  try {
    await execute(definition, runtime, output, controller.signal);
    if (fault !== undefined) throw fault;
  } catch (error) {
    // What the interruption broke is no news, but what is known of a transaction under way is.
    const news = error instanceof PsycheError ? error : interruption ?? error;
    code = report(fault ?? news, definition.name, runtime, output);
    code = interruption?.exitCode ?? code;
  } finally {
    stopListening();
    ignoreFaults();
    restoreConsole();
  }
  // Open sockets of libraries must not keep a finished command alive.
  runtime.exit(code);
}

async function execute<F extends Flags>(
  definition: CommandDefinition<F>,
  runtime: Runtime,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  const parsed = parseArguments(definition, runtime.args);
  if (parsed.help) return runtime.stdout(helpText(definition));
  const flags = allFlags(definition);
  // A command without a cluster to choose makes runs of its own.
  const layers = loadLayers(parsed.flags, runtime, { runRecords: "rpc" in definition.flags });
  const settings = resolveSettings(flags, layers);
  const values = settings.values as Values<F> & { showConfig: boolean };
  const problems = [...parsed.problems, ...settings.problems];
  if (values.showConfig) {
    const shown = shownSettings(definition.flags, settings);
    return output.result({ settings: shown, problems }, [...formatSettings(shown), ...problems]);
  }
  if (problems.length === 0) problems.push(...definition.check?.(values, parsed.positional) ?? []);
  if (problems.length > 0) throw usageError(definition.name, problems);
  await definition.run({
    settings: values,
    origins: settings.origins,
    positional: parsed.positional,
    output,
    signal,
    runtime,
  });
}

/** Read from the raw line, because the errors of a line that cannot be read obey it too. */
function wantsJson(runtime: Runtime): boolean {
  return runtime.args.includes("--json");
}

function isDebugging(runtime: Runtime): boolean {
  return runtime.environment("PSYCHE_DEBUG") === "1";
}

function report(error: unknown, command: string, runtime: Runtime, output: Output): number {
  const known = toPsycheError(error, command);
  if (output.json && !output.hasResult) {
    runtime.stdout(`${toJson({ error: { code: known.code, message: known.message } })}\n`);
  } else {
    runtime.stderr(`error[${known.code}]: ${known.message}\n`);
  }
  if (isDebugging(runtime)) {
    for (let cause: unknown = error; cause !== undefined; cause = (cause as Error)?.cause) {
      runtime.stderr(`${cause instanceof Error ? cause.stack : cause}\n`);
    }
  }
  return known.exitCode;
}

function toPsycheError(error: unknown, command: string): PsycheError {
  if (error instanceof PsycheError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new PsycheError(
    "UNEXPECTED",
    `${command} failed: ${text.split("\n")[0]} (PSYCHE_DEBUG=1 shows where).`,
    { cause: error },
  );
}
