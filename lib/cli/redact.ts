/** Keeps access keys of RPC providers out of everything that is shown. */

/** The value as shown: a URL loses its user info, its query and any long path part; the rest stays. */
export function redactText(value: unknown): unknown {
  if (typeof value !== "string" || !/^(https?|wss?):\/\//.test(value) || !URL.canParse(value)) {
    return value;
  }
  const url = new URL(value);
  url.username = "";
  url.password = "";
  if (url.search !== "") url.search = "?...";
  url.pathname = url.pathname.replace(/[A-Za-z0-9_-]{20,}/g, "...");
  return url.href.replace(/\/$/, "");
}

/** True when the URL shows in full, so it may be written to a record. */
export function isPublicUrl(value: string): boolean {
  return redactText(value) === value.replace(/\/$/, "");
}
