/** A join authorization for people. */
import { EVERYBODY } from "../chain/authorizer.ts";
import type { AuthorizationView } from "../operator/authorizations.ts";

export function authorizationLines(view: AuthorizationView): string[] {
  const everybody = view.grantee === EVERYBODY.toBase58() ? " (everybody)" : "";
  return [
    `authorization ${view.authorization}`,
    `grantor ${view.grantor}`,
    `grantee ${view.grantee}${everybody}`,
    view.active ? "active" : "not active",
    `${view.delegates.length} delegates`,
    ...view.delegates.map((key, i) => `  ${i + 1}. ${key}`),
  ];
}
