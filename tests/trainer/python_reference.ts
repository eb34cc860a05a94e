/** Runs a Python script that computes reference values, where its modules are installed. */
import assert from "node:assert/strict";

/**
 * Calls `compare` with the folder that the script has filled. Where Python (`PYTHON`, by default `python3`)
 * lacks one of the modules, says so and compares nothing: the committed values are tested anyway.
 *
 * @param modules as after `import`
 * @param lacking what is missing then, in words
 * @param script its path, then arguments; the folder comes last
 */
export async function compareWithPython(
  modules: string,
  lacking: string,
  script: string[],
  compare: (directory: string) => Promise<void>,
): Promise<void> {
  const python = Deno.env.get("PYTHON") ?? "python3";
  const directory = await Deno.makeTempDir();
  try {
    const run = (...args: string[]) =>
      new Deno.Command(python, { args, stdout: "null", stderr: "piped" }).output()
        .catch(() => null);
    if (!(await run("-c", `import ${modules}`))?.success) {
      console.log(`${python} has no ${lacking}: only the committed values were used`);
      return;
    }
    const made = await run(...script, directory);
    assert.ok(made?.success, new TextDecoder().decode(made?.stderr));
    await compare(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
