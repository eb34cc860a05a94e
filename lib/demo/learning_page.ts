import type { LearningReport } from "./learning_experiment.ts";

/** Smaller differences of loss, in nats, are none. */
const WORTH_TELLING = 0.02;

/** The experiment's result as a page in Markdown; every number comes from the report. */
export function learningPage(report: LearningReport): string {
  const { curves, clients, steps, sequencesPerStep, sequenceLength } = report;
  const integer = (value: number) => Math.round(value).toLocaleString("en");
  const last = curves.map((curve) => curve.heldOut.at(-1)!.loss);
  const [adamw, distro, network] = last;
  const first = curves[0].heldOut[0].loss;
  const idle = curves.filter((_, c) => !(last[c] < first - WORTH_TELLING)).map(({ name }) => name);
  const bytes = curves[2].bytesPerStep;
  const sent = (c: number) => curves[c].bytesPerStep === 0 ? "-" : integer(curves[c].bytesPerStep);
  const rows = curves.map((curve, c) => {
    const mean = curve.steps.slice(-5).reduce((sum, { loss }) => sum + loss, 0) /
      Math.min(5, curve.steps.length);
    return `| ${curve.name} | ${mean.toFixed(3)} | ${last[c].toFixed(3)} | ` +
      `${((first - last[c]) / first * 100).toFixed(1)} % | ${sent(c)} | ` +
      `${curve.seconds.toFixed(1)} |`;
  });
  return `# Does it learn?

The same initial model (${(report.parameters / 1e6).toFixed(2)}M parameters) is trained on the same
sequences in the same order, ${steps} steps of ${sequencesPerStep} sequences of ${sequenceLength} tokens:

1. alone with AdamW (largest rate ${report.rates.adamw});
2. alone with DisTrO (largest rate ${report.rates.distro});
3. with DisTrO by ${clients} clients, each a process with a wallet of its own, over a Solana net and the
   peer-to-peer network: ${sequencesPerStep / clients} sequences a client and step.

![Loss by step](loss.svg)

| | training loss, last 5 steps | held-out loss | held-out, against ${
    first.toFixed(3)
  } at the start | bytes a client sends for a step | seconds |
| --- | --- | --- | --- | --- | --- |
${rows.join("\n")}

What this says:

- ${
    idle.length === 0
      ? "All three learn"
      : `**Nothing is learned by ${idle.join(" and ")}**`
  }. The clients end with ${
    report.weightsEqual ? "bit-equal" : "**different**"
  } weights after each of ${report.weightsCompared} compared rounds.
- Training over the network ${
    network > distro + WORTH_TELLING
      ? `costs ${(network - distro).toFixed(3)} nats of held-out loss against DisTrO alone`
      : network < distro - WORTH_TELLING
      ? `ends ${
        (distro - network).toFixed(3)
      } nats below DisTrO alone: more results with signs of their own are averaged in a step`
      : "ends where DisTrO alone ends"
  }.
- DisTrO over the network ends ${Math.abs(network - adamw).toFixed(3)} nats ${
    network > adamw ? "above" : "below"
  } AdamW alone${network > adamw ? ". That is its price at this size and length" : ""}:
  a result holds the signs of ${report.topk} coefficients of each block of ${report.chunk} x ${report.chunk} weights, every step moves every weight by
  the same amount, and results take effect two steps late.
- In return a client sends ${integer(bytes)} bytes instead of the ${
    integer(report.bytesDense)
  } of an uncompressed gradient, with which AdamW would
  do the same over a network: ${integer(report.bytesDense / bytes)} times less.
- The seconds are those of one machine whose cores the ${clients} clients share; the last row includes the
  chain's rounds.

Made by \`deno task experiment:learning\` (seed ${report.seed}); the numbers are in
[result.json](result.json). Other seeds and machines give slightly other numbers.
`;
}
