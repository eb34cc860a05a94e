/**
 * Healthy: the validator answers, the programs are executable, and their deployment is over (until then
 * placeholders stand at their addresses; the record is written at the end).
 */
await Deno.stat("/data/runs/localnet/programs.json");
const ids = await Promise.all(
  ["authorizer", "coordinator", "treasurer"].map(async (name) =>
    JSON.parse(await Deno.readTextFile(new URL(`../idl/${name}.json`, import.meta.url))).address
  ),
);
const response = await fetch(`http://127.0.0.1:${Deno.args[0] ?? 8899}`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "getMultipleAccounts",
    params: [ids, {
      commitment: "confirmed",
      encoding: "base64",
      dataSlice: { offset: 0, length: 0 },
    }],
  }),
});
const { result } = await response.json();
const missing = ids.filter((_, i) => result.value[i]?.executable !== true);
if (missing.length > 0) {
  console.log(`not executable: ${missing.join(" ")}`);
  Deno.exit(1);
}
