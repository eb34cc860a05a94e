/** Access tokens of Google Cloud, which live for an hour: made from a key file when one is given. */
import { createSign } from "node:crypto";
import { PsycheError } from "../../error.ts";

/** A token that is valid now. */
export type TokenSource = (fetch: typeof globalThis.fetch, signal?: AbortSignal) => Promise<string>;

/** Environment variable with an access token; `gcloud auth print-access-token` prints one. */
export const GCS_TOKEN_VARIABLE = "GOOGLE_OAUTH_ACCESS_TOKEN";
/** Environment variable with the path of a key file, as all tools of Google Cloud take it. */
export const GCS_KEY_FILE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS";

const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";
const GOOGLE_TOKENS = "https://oauth2.googleapis.com/token";
const TIMEOUT = 30_000;
/** A token is renewed so long before it ends, milliseconds. */
const MARGIN = 5 * 60_000;

/** Where the environment says that tokens come from; undefined when it says nothing. */
export function tokensFromEnvironment(
  environment: (name: string) => string | undefined,
): TokenSource | undefined {
  const token = environment(GCS_TOKEN_VARIABLE)?.trim();
  if (token) return () => Promise.resolve(token);
  const path = environment(GCS_KEY_FILE_VARIABLE)?.trim();
  return path ? keyFileTokens(path) : undefined;
}

/**
 * Tokens by a key file: of a service account, or of a user as `gcloud auth application-default login`
 * leaves it. The file is read when the first token is needed.
 *
 * The source throws PsycheError `GCS_KEY_FILE_INVALID`, `GCS_ACCESS_DENIED`, `GCS_UNAVAILABLE`.
 *
 * @param now milliseconds since 1970
 */
export function keyFileTokens(path: string, now: () => number = Date.now): TokenSource {
  let token = "";
  let validUntil = 0;
  return async (fetch, signal) => {
    if (now() < validUntil - MARGIN) return token;
    const answer = await exchange(await readKeyFile(path), now(), fetch, signal);
    token = answer.token;
    validUntil = now() + answer.seconds * 1000;
    return token;
  };
}

type KeyFile = Record<string, string>;

async function readKeyFile(path: string): Promise<KeyFile> {
  try {
    const file: unknown = JSON.parse(await Deno.readTextFile(path));
    if (typeof file !== "object" || file === null) throw new Error("it is no JSON object");
    const { type } = file as KeyFile;
    const fields = type === "service_account"
      ? ["client_email", "private_key", "token_uri"]
      : type === "authorized_user"
      ? ["client_id", "client_secret", "refresh_token"]
      : null;
    if (fields === null) throw new Error("it is of no service account and of no user");
    const missing = fields.find((name) => typeof (file as KeyFile)[name] !== "string");
    if (missing !== undefined) throw new Error(`it has no ${missing}`);
    return file as KeyFile;
  } catch (cause) {
    // Errors of the JSON parser quote what they read, which may be a key.
    const reason = cause instanceof SyntaxError
      ? "it is no JSON"
      : cause instanceof Error
      ? cause.message
      : String(cause);
    throw new PsycheError(
      "GCS_KEY_FILE_INVALID",
      `The key file ${path} cannot be used (${reason}); correct ${GCS_KEY_FILE_VARIABLE}.`,
    );
  }
}

async function exchange(
  file: KeyFile,
  now: number,
  fetch: typeof globalThis.fetch,
  signal?: AbortSignal,
): Promise<{ token: string; seconds: number }> {
  const isAccount = file.type === "service_account";
  const url = isAccount ? file.token_uri : GOOGLE_TOKENS;
  const body: Record<string, string> = isAccount
    ? { grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion: assertion(file, now) }
    : {
      grant_type: "refresh_token",
      client_id: file.client_id,
      client_secret: file.client_secret,
      refresh_token: file.refresh_token,
    };
  const limit = AbortSignal.timeout(TIMEOUT);
  let status: number;
  let answer: Record<string, unknown> | null;
  try {
    const response = await fetch(url, {
      method: "POST",
      body: new URLSearchParams(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    status = response.status;
    answer = await response.json().catch(() => null);
  } catch (cause) {
    signal?.throwIfAborted();
    throw new PsycheError(
      "GCS_UNAVAILABLE",
      `No access token can be had from ${url}; check the connection.`,
      { cause },
    );
  }
  const { access_token: token, expires_in: seconds } = answer ?? {};
  if (status === 200 && typeof token === "string" && typeof seconds === "number") {
    return { token, seconds };
  }
  throw new PsycheError(
    status >= 500 ? "GCS_UNAVAILABLE" : "GCS_ACCESS_DENIED",
    `${url} gives no access token for the key file (status ${status}); check that the key is valid.`,
  );
}

/** What a service account signs to be given a token: a JSON web token. */
function assertion(file: KeyFile, now: number): string {
  const seconds = Math.floor(now / 1000);
  const part = (value: unknown) =>
    new TextEncoder().encode(JSON.stringify(value)).toBase64({
      alphabet: "base64url",
      omitPadding: true,
    });
  const head = part({ alg: "RS256", typ: "JWT", kid: file.private_key_id });
  const claims = part({
    iss: file.client_email,
    scope: SCOPE,
    aud: file.token_uri,
    iat: seconds,
    exp: seconds + 3600,
  });
  const signed = `${head}.${claims}`;
  try {
    return `${signed}.${
      createSign("RSA-SHA256").update(signed).sign(file.private_key, "base64url")
    }`;
  } catch {
    throw new PsycheError(
      "GCS_KEY_FILE_INVALID",
      `The private key of ${file.client_email} cannot be used; correct ${GCS_KEY_FILE_VARIABLE}.`,
    );
  }
}
