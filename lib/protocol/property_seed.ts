/**
 * A fresh seed for a property test, printed so that a failure can be repeated.
 * Only tests use this file.
 */
export function seed(): number {
  const value = crypto.getRandomValues(new Int32Array(1))[0];
  console.log(`property seed ${value}`);
  return value;
}
