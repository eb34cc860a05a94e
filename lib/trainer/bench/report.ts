/** What the measurements say, for people. */
import type { Comparison } from "./compare_training.ts";
import type { Rival, Times } from "./times.ts";

/** What a training step is held to; ratios, because machines and their load differ. */
const GOALS = {
  /** Of the rate of a large matrix product. */
  efficiency: 0.65,
  /** Of a round in which a client trains one batch and applies three results. */
  distroShare: 0.15,
  /** Of a step. */
  scriptShare: 0.03,
  /** Of PyTorch's time over ours, and of jax-js's; medians. */
  torch: 1,
  jax: 10,
};

const ms = ({ min, median }: Times) => `${median.toFixed(1)} ms (best ${min.toFixed(1)})`;
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;

export function comparisonLines(one: Comparison): string[] {
  const { torch } = one;
  const speed = Math.round(1000 * one.tokens / one.step.median).toLocaleString("en");
  return [
    `${one.name}: ${(one.parameters / 1e6).toFixed(2)}M parameters, ${one.tokens} tokens a step`,
    `  AdamW step        ${ms(one.step)}, ${speed} tokens/s`,
    `  outside the graph ${percent(one.kernelShare)} of the step in kernels (clipping, update), ` +
    `${percent(one.scriptShare)} in JavaScript`,
    `  matrix products   ${(one.flops / 1e9).toFixed(1)} GFLOP a step, at ` +
    `${one.efficiency.median.toFixed(2)} of a large product's rate (best to best ` +
    `${one.efficiency.min.toFixed(2)})`,
    `  DisTrO step       ${ms(one.distroStep)}`,
    `  DisTrO's part     ${ms(one.distroOverhead)}, apply of three results ` +
    `${ms(one.distroApply)}: ${percent(one.distroShare)} of a round`,
    `  peak memory       ${gigabytes(one.peakBytes)} (estimated ${
      gigabytes(one.estimatedBytes)
    }), with DisTrO ${gigabytes(one.distroPeakBytes)}`,
    ...(torch === null ? [] : [
      rivalLine("PyTorch", torch),
      `  processor time    ${torch.processorRatio.median.toFixed(2)} times ours (best to best ` +
      `${torch.processorRatio.min.toFixed(2)})`,
      `  large product     ${ms(one.product)}, PyTorch ${ms(torch.product)}`,
      `  first loss        differs by ${torch.lossDifference.toExponential(1)}`,
    ]),
    ...jaxLines(one.jax),
  ];
}

function rivalLine(name: string, { step, ratio, peakBytes }: Rival): string {
  return `  ${name.padEnd(17)} ${ms(step)}, ${ratio.median.toFixed(2)} times ours ` +
    `(best to best ${ratio.min.toFixed(2)}), peak ${gigabytes(peakBytes)}`;
}

function jaxLines(jax: Comparison["jax"]): string[] {
  if (jax === null) return [];
  if (typeof jax === "string") return [`  jax-js            not compared: ${jax}`];
  return [
    rivalLine("jax-js", jax),
    `  first loss        differs by ${jax.lossDifference.toExponential(1)}`,
  ];
}

/** One sentence for each goal that this measurement misses. */
export function missedGoals(one: Comparison): string[] {
  const missed = [];
  if (one.efficiency.median < GOALS.efficiency) {
    missed.push(
      `${one.name}: ${
        one.efficiency.median.toFixed(2)
      } of a large product, goal ${GOALS.efficiency}`,
    );
  }
  if (one.distroShare > GOALS.distroShare) {
    missed.push(
      `${one.name}: DisTrO takes ${percent(one.distroShare)} of a round, goal ` +
        percent(GOALS.distroShare),
    );
  }
  if (one.scriptShare > GOALS.scriptShare) {
    missed.push(
      `${one.name}: JavaScript takes ${percent(one.scriptShare)} of a step, goal ` +
        percent(GOALS.scriptShare),
    );
  }
  if (one.torch !== null && one.torch.ratio.median < GOALS.torch) {
    missed.push(
      `${one.name}: ${
        one.torch.ratio.median.toFixed(2)
      } times as fast as PyTorch, goal ${GOALS.torch}`,
    );
  }
  if (one.jax !== null && typeof one.jax !== "string" && one.jax.ratio.median < GOALS.jax) {
    missed.push(
      `${one.name}: ${one.jax.ratio.median.toFixed(1)} times as fast as jax-js, goal ${GOALS.jax}`,
    );
  }
  return missed;
}
