/**
 * Prints what the programs cost. `--json` prints JSON; the table of README.md is made without it.
 *
 *     deno run -A programs/cost_bench.ts [--json]
 */
import { measureCosts } from "../tests/programs/cost.ts";

const { units, sizes } = measureCosts();
if (Deno.args.includes("--json")) {
  console.log(JSON.stringify({ units, sizes }, null, 2));
} else {
  const counts = Object.keys(units).map(Number);
  const row = (cells: unknown[]) => console.log(`| ${cells.join(" | ")} |`);
  row(["compute units", ...counts.map((n) => n === 1 ? "1 client" : `${n} clients`)]);
  row(["---", ...counts.map(() => "---:")]);
  for (const what of Object.keys(units[counts.at(-1)!])) {
    row([`\`${what}\``, ...counts.map((n) => units[n][what]?.toLocaleString("en") ?? "-")]);
  }
  console.log();
  row(["program", "bytes", "rent, SOL", "needed to deploy, SOL"]);
  row(["---", "---:", "---:", "---:"]);
  for (const [name, { bytes, rentLamports, deployLamports }] of Object.entries(sizes)) {
    const sol = (lamports: number) => (lamports / 1e9).toFixed(4);
    row([name, bytes.toLocaleString("en"), sol(rentLamports), sol(deployLamports)]);
  }
}
