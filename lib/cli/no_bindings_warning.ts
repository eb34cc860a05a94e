/**
 * spl-token's number package warns at import that it goes without a native helper. The pure form is
 * what we want, so the one line is dropped; everything else is still printed.
 */
const warn = console.warn;
console.warn = (...data: unknown[]) => {
  if (String(data[0]).startsWith("bigint: Failed to load bindings")) return;
  warn(...data);
};
