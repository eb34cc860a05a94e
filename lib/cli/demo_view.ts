/** What a person sees while the demo runs, and at its end. */
import type { RunMonitor } from "../events/run_monitor.ts";
import type { DemoResult } from "../demo/run_demo.ts";
import { counted } from "./counted.ts";
import type { Output } from "./output.ts";

const BARS = "▁▂▃▄▅▆▇█";
/** Shortest time between two pictures, milliseconds. */
const REFRESH = 100;
/** Without a terminal: one line in so many steps. */
const PLAIN_EVERY = 10;

/** Shows a run's progress: a picture that redraws itself on a terminal, else a line now and then. */
export function createDemoView(output: Output, totalSteps: number): (monitor: RunMonitor) => void {
  const start = performance.now();
  let lastDrawn = 0;
  let lastStep = -1;
  let lastState = "";
  return (monitor) => {
    const step = monitor.steps.at(-1)?.step ?? 0;
    if (!output.terminal) {
      const newState = monitor.runState !== lastState && !/Training|Witness/.test(monitor.runState);
      if (!newState && (step === lastStep || step % PLAIN_EVERY !== 0)) return;
      lastState = monitor.runState;
      lastStep = step;
      return output.say(progressLine(monitor, totalSteps));
    }
    if (performance.now() - lastDrawn < REFRESH) return;
    lastDrawn = performance.now();
    output.rewrite(picture(monitor, totalSteps, (lastDrawn - start) / 1000).join("\n"));
  };
}

function progressLine(monitor: RunMonitor, totalSteps: number): string {
  const { steps, bytes, weights } = monitor;
  const state = (monitor.runState || "Starting clients").padEnd(19);
  const last = steps.at(-1);
  if (!last) return `${state} ${counted(monitor.clients.size, "client")}`;
  return `${state} step ${last.step}/${totalSteps}  loss ${last.loss.toFixed(3)}  ` +
    `${counted(monitor.members, "client")}  ${kilobytes(bytes.perResult)} sent instead of ` +
    `${kilobytes(bytes.dense)}  weights ${equality(weights)}`;
}

/** The live view; every line stays below 80 columns. */
function picture(monitor: RunMonitor, totalSteps: number, seconds: number): string[] {
  const { steps, bytes, weights, witnesses } = monitor;
  const done = steps.at(-1)?.step ?? 0;
  const bar = "█".repeat(Math.round(24 * done / totalSteps)).padEnd(24, "░");
  const lines = [
    "",
    `  ${(monitor.runState || "Starting clients").padEnd(20)} step ${done}/${totalSteps} ${bar} ` +
    `${seconds.toFixed(0)} s`,
  ];
  if (steps.length > 0) {
    lines.push(
      `  loss      ${steps[0].loss.toFixed(3)} ${sparkline(steps.map((step) => step.loss))} ` +
        steps.at(-1)!.loss.toFixed(3),
      `  exchange  ${kilobytes(bytes.perResult)} a result instead of ${kilobytes(bytes.dense)}, ` +
        `${Math.round(monitor.tokensPerSecond).toLocaleString("en")} tokens/s`,
      `  witnesses ${witnesses.received} (quorum ${witnesses.quorum})   ` +
        `weights ${equality(weights)} after ${counted(weights.compared, "round")}`,
    );
  }
  for (const client of monitor.clients.values()) {
    lines.push(
      `  ${client.client.slice(0, 8)}  step ${`${client.step}`.padEnd(5)} ` +
        `${counted(client.connectedPeers, "peer")}  ${
          client.tokens.toLocaleString("en")
        } tokens trained` +
        (client.problems.length > 0 ? `  ${counted(client.problems.length, "problem")}` : ""),
    );
  }
  return lines;
}

function equality(weights: { equal: boolean; compared: number }): string {
  if (weights.compared === 0) return "not compared yet";
  return weights.equal ? "bit-equal" : "DIFFERENT";
}

/** Values as a row of bars, at most `width` of them. */
export function sparkline(values: number[], width = 24): string {
  if (values.length === 0) return "";
  const group = Math.ceil(values.length / width);
  const means: number[] = [];
  for (let i = 0; i < values.length; i += group) {
    const part = values.slice(i, i + group);
    means.push(part.reduce((sum, value) => sum + value, 0) / part.length);
  }
  const low = Math.min(...means);
  const span = Math.max(...means) - low || 1;
  return means.map((value) => BARS[Math.round((value - low) / span * (BARS.length - 1))]).join("");
}

/** The summary as lines for a person. */
export function demoSummary(result: DemoResult): string[] {
  const fall = (1 - result.lossLast / result.lossFirst) * 100;
  const ratio = Math.round(result.bytesDense / result.bytesPerResult);
  const setup = Object.values(result.setupMilliseconds).reduce((sum, ms) => sum + ms, 0) / 1000;
  return [
    "",
    `${counted(result.clients, "client")} trained ${result.steps} steps ` +
    "and the run is finished.",
    "",
    `  loss        ${result.lossFirst.toFixed(3)} -> ${result.lossLast.toFixed(3)} ` +
    `(${fall.toFixed(0)} % lower); held-out text ${result.heldOutFirst.toFixed(3)} -> ` +
    `${result.heldOutLast.toFixed(3)}`,
    result.weightsCompared === 0
      ? `  weights     ${result.weightsSha256.slice(0, 16)}, of the only client`
      : `  weights     ${
        equality({ equal: result.weightsEqual, compared: 1 })
      } on all clients after ` +
        `each of ${counted(result.weightsCompared, "round")} (${
          result.weightsSha256.slice(0, 16)
        })`,
    `  exchanged   ${kilobytes(result.bytesPerResult)} a result instead of ` +
    `${kilobytes(result.bytesDense)} (${ratio} times less)`,
    `  speed       ${Math.round(result.tokensPerSecond).toLocaleString("en")} tokens/s`,
    `  rewards     ${result.claims.map(({ claimed }) => claimed.ui).join(" + ")} tokens claimed ` +
    `from the treasury (mint ${result.mint.slice(0, 8)})`,
    `  time        ${result.elapsedSeconds.toFixed(1)} s: localnet and programs ` +
    `${setup.toFixed(1)} s, run ${result.trainingSeconds.toFixed(1)} s`,
    `  checkpoint  ${result.checkpoint}`,
    `  event log   ${result.eventLog}`,
    "",
    `  the model goes on after "${result.prompt}":`,
    `  ${JSON.stringify(result.sample)}`,
  ];
}

/** The summary as one object for programs. */
export function demoJson(result: DemoResult): object {
  return {
    rpc: result.rpc,
    run_id: result.runId,
    clients: result.clients,
    steps: result.steps,
    epochs: result.epochs,
    loss_first: result.lossFirst,
    loss_last: result.lossLast,
    held_out_loss_first: result.heldOutFirst,
    held_out_loss_last: result.heldOutLast,
    weights_equal: result.weightsEqual,
    weights_compared_rounds: result.weightsCompared,
    weights_sha256: result.weightsSha256,
    bytes_per_result: result.bytesPerResult,
    bytes_dense: result.bytesDense,
    tokens_per_second: result.tokensPerSecond,
    checkpoint: result.checkpoint,
    sample: result.sample,
    event_log: result.eventLog,
    mint: result.mint,
    claims: result.claims.map(({ client, claimed, signature }) => ({
      client,
      raw: claimed.raw.toString(),
      tokens: claimed.ui,
      signature,
    })),
    setup_milliseconds: result.setupMilliseconds,
    training_seconds: result.trainingSeconds,
    elapsed_seconds: result.elapsedSeconds,
  };
}

function kilobytes(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
