/**
 * Byte-level tokenizers write every byte as one printable character, so that a vocabulary is plain
 * text: printable Latin-1 characters stand for themselves, the other 68 bytes for U+0100 and up.
 */
function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
}

/** The character of every byte. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  let next = 0x100;
  return Array.from(
    { length: 256 },
    (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++),
  );
})();
