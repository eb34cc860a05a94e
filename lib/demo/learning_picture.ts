import type { LearningReport } from "./learning_experiment.ts";

const WIDTH = 760;
const HEIGHT = 440;
const PLOT = { left: 60, right: 20, top: 50, bottom: 50 };
/** Told apart by people who see colours differently too. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
/** Steps of the moving mean that is drawn. */
const WINDOW = 5;

/** Training loss (lines, moving mean) and held-out loss (dots) of all curves, as an SVG document. */
export function learningPicture({ curves, steps }: LearningReport): string {
  const losses = curves.flatMap((curve) => [...curve.steps, ...curve.heldOut].map((p) => p.loss));
  const top = Math.ceil(Math.max(...losses) * 2) / 2;
  const bottom = Math.floor(Math.min(...losses) * 2) / 2;
  const x = (step: number) => PLOT.left + step / steps * (WIDTH - PLOT.left - PLOT.right);
  const y = (loss: number) =>
    PLOT.top + (top - loss) / (top - bottom) * (HEIGHT - PLOT.top - PLOT.bottom);
  const at = (step: number, loss: number) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`;
  const text = (x: number, y: number, anchor: string, words: string) =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}">${words}</text>`;

  const grid = Array.from({ length: Math.round((top - bottom) * 2) + 1 }, (_, i) => {
    const loss = bottom + i / 2;
    return `<line x1="${PLOT.left}" x2="${WIDTH - PLOT.right}" y1="${y(loss)}" y2="${y(loss)}" ` +
      `stroke="#ddd"/>` + text(PLOT.left - 8, y(loss) + 4, "end", loss.toFixed(1));
  });
  const every = Math.max(1, Math.ceil(steps / 60)) * 10;
  const ticks = Array.from(
    { length: Math.floor(steps / every) + 1 },
    (_, i) => text(x(i * every), HEIGHT - PLOT.bottom + 20, "middle", `${i * every}`),
  );
  const lines = curves.map((curve, c) => {
    const colour = COLOURS[c % COLOURS.length];
    const smooth = curve.steps.map(({ step }, i) => {
      const part = curve.steps.slice(Math.max(0, i - WINDOW + 1), i + 1);
      return at(step, part.reduce((sum, p) => sum + p.loss, 0) / part.length);
    });
    const dots = curve.heldOut.map(({ step, loss }) => {
      const [cx, cy] = at(step, loss).split(",");
      return `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`;
    });
    const row = PLOT.top + 8 + 20 * c;
    const keyX = WIDTH - 230;
    return `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${
      smooth.join(" ")
    }"/>` +
      dots.join("") +
      `<line x1="${keyX}" x2="${keyX + 24}" y1="${row}" y2="${row}" stroke="${colour}" ` +
      `stroke-width="3"/>` + text(keyX + 32, row + 4, "start", curve.name);
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" ` +
    `font-family="sans-serif" font-size="13">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    `<g font-size="16">${
      text(PLOT.left, 28, "start", "Loss by step: lines in training, dots on held-out text")
    }</g>`,
    ...grid,
    ...ticks,
    text(WIDTH / 2, HEIGHT - 10, "middle", "step"),
    text(16, PLOT.top - 10, "start", "nats per token"),
    ...lines,
    "</svg>",
    "",
  ].join("\n");
}
