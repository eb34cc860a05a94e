/**
 * Is there a Docker engine with compose? Tests in containers are left out where there is none.
 * PSYCHE_REQUIRE_DOCKER=1 insists on one; 0 leaves them out all the same.
 */
import { dockerOutput } from "../../lib/container/docker.ts";

const required = Deno.env.get("PSYCHE_REQUIRE_DOCKER");

async function problem(): Promise<string | null> {
  if (required === "0") return "PSYCHE_REQUIRE_DOCKER is 0";
  try {
    await dockerOutput(["version", "--format", "{{.Server.Version}}"]);
    await dockerOutput(["compose", "version"]);
    return null;
  } catch (error) {
    return (error as Error).message.split("\n")[0];
  }
}

const missing = await problem();
if (missing !== null) {
  // Continuous integration must not pass because nothing ran.
  if (required === "1") throw new Error(missing);
  console.log(`container tests are skipped: ${missing}`);
}

/** For `Deno.test({ ignore })`. */
export const withoutEngine = missing !== null;
