import assert from "node:assert/strict";
import { createVerify, generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { keyFileTokens, tokensFromEnvironment } from "./gcs_token.ts";

const { publicKey, privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
});
const ACCOUNT = {
  type: "service_account",
  client_email: "trainer@project.test",
  private_key_id: "k1",
  private_key: privateKey,
  token_uri: "http://tokens.test/token",
};

async function withKeyFile(
  content: unknown,
  use: (path: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    const path = join(directory, "key.json");
    await Deno.writeTextFile(path, typeof content === "string" ? content : JSON.stringify(content));
    await use(path);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** A token server; `answer` decides. */
function tokenServer(answer: (form: URLSearchParams, url: string) => Response) {
  const requests: string[] = [];
  const serve = async (input: string | URL | Request, init?: RequestInit) => {
    const request = new Request(input, init);
    requests.push(request.url);
    return answer(new URLSearchParams(await request.text()), request.url);
  };
  return { requests, fetch: serve as typeof fetch };
}

const decode = (part: string) =>
  JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(part, { alphabet: "base64url" })));

Deno.test("a service account signs for a token, which is kept until shortly before its end", () =>
  withKeyFile(ACCOUNT, async (path) => {
    let time = 1_700_000_000_000;
    let made = 0;
    const server = tokenServer((form) => {
      assert.equal(form.get("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
      const [head, claims, signature] = form.get("assertion")!.split(".");
      assert.deepEqual(decode(head), { alg: "RS256", typ: "JWT", kid: "k1" });
      assert.deepEqual(decode(claims), {
        iss: "trainer@project.test",
        scope: "https://www.googleapis.com/auth/devstorage.read_write",
        aud: "http://tokens.test/token",
        iat: Math.floor(time / 1000),
        exp: Math.floor(time / 1000) + 3600,
      });
      const verify = createVerify("RSA-SHA256").update(`${head}.${claims}`);
      assert.ok(verify.verify(publicKey, signature, "base64url"));
      return Response.json({ access_token: `token ${++made}`, expires_in: 3600 });
    });
    const tokens = keyFileTokens(path, () => time);
    assert.equal(await tokens(server.fetch), "token 1");
    time += 54 * 60_000;
    assert.equal(await tokens(server.fetch), "token 1");
    time += 2 * 60_000;
    assert.equal(await tokens(server.fetch), "token 2");
    assert.equal(server.requests.length, 2);
  }));

Deno.test("a user's file is exchanged at Google", () =>
  withKeyFile({
    type: "authorized_user",
    client_id: "id",
    client_secret: "secret",
    refresh_token: "refresh",
  }, async (path) => {
    const server = tokenServer((form) => {
      assert.deepEqual(Object.fromEntries(form), {
        grant_type: "refresh_token",
        client_id: "id",
        client_secret: "secret",
        refresh_token: "refresh",
      });
      return Response.json({ access_token: "t", expires_in: 3600 });
    });
    const tokens = tokensFromEnvironment((name) =>
      name === "GOOGLE_APPLICATION_CREDENTIALS" ? path : undefined
    )!;
    assert.equal(await tokens(server.fetch), "t");
    assert.deepEqual(server.requests, ["https://oauth2.googleapis.com/token"]);
  }));

Deno.test("unusable files and refusals are told without what is secret", async () => {
  const denied = tokenServer(() => Response.json({ error: "invalid_grant" }, { status: 400 }));
  const broken = tokenServer(() => new Response("", { status: 503 }));
  const cases: [unknown, typeof denied, string][] = [
    [ACCOUNT, denied, "GCS_ACCESS_DENIED"],
    [ACCOUNT, broken, "GCS_UNAVAILABLE"],
    [{ ...ACCOUNT, private_key: "SECRET" }, denied, "GCS_KEY_FILE_INVALID"],
    [{ ...ACCOUNT, client_email: undefined }, denied, "GCS_KEY_FILE_INVALID"],
    [{ type: "external_account" }, denied, "GCS_KEY_FILE_INVALID"],
    ["SECRET", denied, "GCS_KEY_FILE_INVALID"],
    ["null", denied, "GCS_KEY_FILE_INVALID"],
  ];
  for (const [content, server, code] of cases) {
    await withKeyFile(
      content,
      (path) =>
        assert.rejects(keyFileTokens(path)(server.fetch), (error: Error) => {
          assert.equal((error as unknown as { code: string }).code, code);
          assert.ok(!error.message.includes("SECRET") && !error.message.includes("PRIVATE"));
          return true;
        }),
    );
  }
  await assert.rejects(keyFileTokens("/not/there")(denied.fetch), { code: "GCS_KEY_FILE_INVALID" });
  assert.equal(tokensFromEnvironment(() => undefined), undefined);
});
