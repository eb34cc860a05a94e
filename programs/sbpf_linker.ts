/**
 * Turns one relocatable BPF object (what `llc -march=bpfel -mcpu=v2` writes) into a Solana program:
 * a shared object of SBPF version 0.
 *
 * The loader puts the file at 0x1_0000_0000 with address = file offset, so every address inside the
 * program is known here and written as a plain number. Only system calls stay open: each is a call
 * of -1 with a relocation that names the symbol, which the loader replaces by the hash of the name.
 */
import { PsycheError } from "../lib/error.ts";

const PROGRAM_START = 0x1_0000_0000n;
const SHT = {
  progbits: 1,
  symtab: 2,
  strtab: 3,
  dynamic: 6,
  nobits: 8,
  rel: 9,
  dynsym: 11,
} as const;
const RELOCATION = { lddw: 1, pointer: 2, call: 10 } as const;
const FLAG = { write: 1, alloc: 2, exec: 4 } as const;
const MAX_SYMBOL_NAME = 63;

interface Section {
  name: string;
  type: number;
  flags: number;
  link: number;
  info: number;
  align: number;
  bytes: Uint8Array;
}

interface SymbolEntry {
  name: string;
  section: number;
  value: number;
}

interface Relocation {
  section: number;
  offset: number;
  type: number;
  symbol: number;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function fail(message: string): never {
  throw new PsycheError("PROGRAM_LINK_FAILED", `Cannot link the program: ${message}.`);
}

function text(bytes: Uint8Array, offset: number): string {
  const end = bytes.indexOf(0, offset);
  if (end < 0) fail(`a name at offset ${offset} of a string table has no end`);
  return new TextDecoder().decode(bytes.subarray(offset, end));
}

function readObject(object: Uint8Array) {
  const v = view(object);
  if (object.length < 64 || v.getUint32(0) !== 0x7f454c46 || v.getUint16(16, true) !== 1) {
    fail("the input is not a relocatable ELF object; pass what llc -filetype=obj wrote");
  }
  const headers = Number(v.getBigUint64(40, true));
  const count = v.getUint16(60, true);
  const sections: Section[] = [];
  const nameOffsets: number[] = [];
  for (let i = 0; i < count; i++) {
    const at = headers + i * 64;
    const type = v.getUint32(at + 4, true);
    const offset = Number(v.getBigUint64(at + 24, true));
    const size = Number(v.getBigUint64(at + 32, true));
    nameOffsets.push(v.getUint32(at, true));
    sections.push({
      name: "",
      type,
      flags: Number(v.getBigUint64(at + 8, true)),
      link: v.getUint32(at + 40, true),
      info: v.getUint32(at + 44, true),
      align: Math.max(1, Number(v.getBigUint64(at + 48, true))),
      bytes: type === SHT.nobits ? new Uint8Array(size) : object.slice(offset, offset + size),
    });
  }
  const names = sections[v.getUint16(62, true)].bytes;
  sections.forEach((section, i) => section.name = text(names, nameOffsets[i]));
  return { sections, symbols: readSymbols(sections), relocations: readRelocations(sections) };
}

function readSymbols(sections: Section[]): SymbolEntry[] {
  const table = sections.find((s) => s.type === SHT.symtab);
  if (table === undefined) fail("the object has no symbol table");
  const names = sections[table.link].bytes;
  const v = view(table.bytes);
  return Array.from({ length: table.bytes.length / 24 }, (_, i) => ({
    name: text(names, v.getUint32(i * 24, true)),
    section: v.getUint16(i * 24 + 6, true),
    value: Number(v.getBigUint64(i * 24 + 8, true)),
  }));
}

function readRelocations(sections: Section[]): Relocation[] {
  return sections.filter((s) => s.type === SHT.rel).flatMap((table) => {
    const v = view(table.bytes);
    return Array.from({ length: table.bytes.length / 16 }, (_, i) => ({
      section: table.info,
      offset: Number(v.getBigUint64(i * 16, true)),
      type: v.getUint32(i * 16 + 8, true),
      symbol: v.getUint32(i * 16 + 12, true),
    }));
  });
}

/** Bytes that grow; every piece starts at a multiple of its alignment. */
class Image {
  #pieces: { offset: number; bytes: Uint8Array }[] = [];
  length: number;

  constructor(start: number) {
    this.length = start;
  }

  place(bytes: Uint8Array, align = 8): number {
    const offset = Math.ceil(this.length / align) * align;
    this.#pieces.push({ offset, bytes });
    this.length = offset + bytes.length;
    return offset;
  }

  finish(head: Uint8Array): Uint8Array {
    const out = new Uint8Array(this.length);
    out.set(head, 0);
    for (const piece of this.#pieces) out.set(piece.bytes, piece.offset);
    return out;
  }
}

const PROGRAM_HEADERS = 4;
const HEAD = 64 + PROGRAM_HEADERS * 56;

/**
 * Links `object` into the bytes of an SBPF v0 shared object whose entry is the symbol `entrypoint`.
 *
 * @throws PsycheError `PROGRAM_LINK_FAILED` for anything such a program cannot hold: writable data,
 * an unknown relocation, a missing entry, a symbol name above 63 bytes.
 */
export function linkSbpf(object: Uint8Array): Uint8Array {
  const { sections, symbols, relocations } = readObject(object);
  const loaded = sections.filter((s) => (s.flags & FLAG.alloc) !== 0 && s.bytes.length > 0);
  const code = loaded.filter((s) => (s.flags & FLAG.exec) !== 0);
  const data = loaded.filter((s) => (s.flags & FLAG.exec) === 0);
  for (const s of data) {
    // `.data.rel.ro` is writable only for the relocating loader; anything else would be global state.
    if (
      s.type === SHT.nobits || ((s.flags & FLAG.write) !== 0 && !s.name.startsWith(".data.rel.ro"))
    ) {
      fail(`section ${s.name} is writable, and a program has no writable globals`);
    }
  }

  for (const s of code) moveCallRegisters(s.bytes);

  // Lay out code, then read-only data; address = offset in the file.
  const image = new Image(HEAD);
  const address = new Map<Section, number>();
  for (const s of code) address.set(s, image.place(s.bytes, 8));
  const textStart = address.get(code[0]) ?? fail("there is no code");
  const textEnd = image.length;
  const rodataStart = image.place(new Uint8Array(0), 16);
  for (const s of data) address.set(s, image.place(s.bytes, Math.max(8, s.align)));
  const rodataEnd = image.length;

  const addressOf = (symbol: SymbolEntry): number => {
    const section = sections[symbol.section];
    const base = address.get(section);
    return base === undefined
      ? fail(`symbol ${symbol.name} is not in the program`)
      : base + symbol.value;
  };

  const systemCalls: string[] = [];
  const open: { offset: number; call: number }[] = [];
  for (const r of relocations) {
    const section = sections[r.section];
    const base = address.get(section);
    if (base === undefined) continue; // debug information
    const symbol = symbols[r.symbol];
    const at = view(section.bytes);
    if (r.type === RELOCATION.call) {
      if (symbol.section === 0) {
        if (symbol.name.length > MAX_SYMBOL_NAME) fail(`symbol name ${symbol.name} is too long`);
        let call = systemCalls.indexOf(symbol.name);
        if (call < 0) call = systemCalls.push(symbol.name) - 1;
        at.setInt32(r.offset + 4, -1, true);
        open.push({ offset: base + r.offset, call });
      } else {
        const target = addressOf(symbol) + (at.getInt32(r.offset + 4, true) + 1) * 8;
        at.setInt32(r.offset + 4, (target - (base + r.offset + 8)) / 8, true);
      }
    } else if (r.type === RELOCATION.lddw) {
      const addend = at.getUint32(r.offset + 4, true);
      const value = PROGRAM_START + BigInt(addressOf(symbol) + addend);
      at.setUint32(r.offset + 4, Number(value & 0xffff_ffffn), true);
      at.setUint32(r.offset + 12, Number(value >> 32n), true);
    } else if (r.type === RELOCATION.pointer) {
      const addend = at.getBigUint64(r.offset, true);
      at.setBigUint64(r.offset, PROGRAM_START + BigInt(addressOf(symbol)) + addend, true);
    } else {
      fail(`relocation type ${r.type} against ${symbol.name} is not known`);
    }
  }

  const entry = symbols.find((s) => s.name === "entrypoint" && s.section !== 0);
  if (entry === undefined) fail("the symbol entrypoint is missing");

  // Dynamic linking information: the names of the system calls and where they are called.
  const names = stringTable(systemCalls);
  const dynsym = new Uint8Array(24 * (systemCalls.length + 1));
  systemCalls.forEach((name, i) => {
    const v = view(dynsym);
    v.setUint32(24 * (i + 1), names.offsets.get(name)!, true);
    v.setUint8(24 * (i + 1) + 4, 0x10); // global, no type
  });
  const relDyn = new Uint8Array(16 * open.length);
  open.forEach(({ offset, call }, i) => {
    const v = view(relDyn);
    v.setBigUint64(16 * i, BigInt(offset), true);
    v.setUint32(16 * i + 8, RELOCATION.call, true);
    v.setUint32(16 * i + 12, call + 1, true);
  });
  const dynamic = new Uint8Array(16 * 10);
  const dynamicAt = image.place(dynamic);
  const dynsymAt = image.place(dynsym);
  const dynstrAt = image.place(names.bytes);
  const relDynAt = image.place(relDyn);
  const loadEnd = image.length;
  // REL, RELSZ, RELENT, SYMTAB, SYMENT, STRTAB, STRSZ, TEXTREL, FLAGS (TEXTREL), NULL
  [
    [17, relDynAt],
    [18, relDyn.length],
    [19, 16],
    [6, dynsymAt],
    [11, 24],
    [5, dynstrAt],
    [10, names.bytes.length],
    [22, 0],
    [30, 4],
    [0, 0],
  ].forEach(([tag, value], i) => {
    view(dynamic).setBigUint64(16 * i, BigInt(tag), true);
    view(dynamic).setBigUint64(16 * i + 8, BigInt(value), true);
  });

  const table: [string, number, number, number, number, number, number, number][] = [
    // name, type, flags, offset, size, link, align, entry size
    ["", 0, 0, 0, 0, 0, 0, 0],
    [".text", SHT.progbits, FLAG.alloc | FLAG.exec, textStart, textEnd - textStart, 0, 8, 0],
    [".rodata", SHT.progbits, FLAG.alloc, rodataStart, rodataEnd - rodataStart, 0, 16, 0],
    [".dynamic", SHT.dynamic, FLAG.alloc | FLAG.write, dynamicAt, dynamic.length, 5, 8, 16],
    [".dynsym", SHT.dynsym, FLAG.alloc, dynsymAt, dynsym.length, 5, 8, 24],
    [".dynstr", SHT.strtab, FLAG.alloc, dynstrAt, names.bytes.length, 0, 1, 0],
    [".rel.dyn", SHT.rel, FLAG.alloc, relDynAt, relDyn.length, 4, 8, 16],
    [".shstrtab", SHT.strtab, 0, 0, 0, 0, 1, 0],
  ];
  const sectionNames = stringTable(table.map(([name]) => name));
  const shstrtab = table[table.length - 1];
  shstrtab[3] = image.place(sectionNames.bytes);
  shstrtab[4] = sectionNames.bytes.length;
  const headers = new Uint8Array(64 * table.length);
  const headersAt = image.place(headers);
  table.forEach(([name, type, flags, offset, size, link, align, entrySize], i) => {
    const v = new DataView(headers.buffer, 64 * i, 64);
    v.setUint32(0, sectionNames.offsets.get(name) ?? 0, true);
    v.setUint32(4, type, true);
    v.setBigUint64(8, BigInt(flags), true);
    v.setBigUint64(16, (flags & FLAG.alloc) !== 0 ? BigInt(offset) : 0n, true);
    v.setBigUint64(24, BigInt(offset), true);
    v.setBigUint64(32, BigInt(size), true);
    v.setUint32(40, link, true);
    v.setUint32(44, type === SHT.dynsym ? 1 : 0, true);
    v.setBigUint64(48, BigInt(align), true);
    v.setBigUint64(56, BigInt(entrySize), true);
  });

  return image.finish(fileHead({
    entry: addressOf(entry),
    headersAt,
    sectionCount: table.length,
    segments: [
      // type, flags (4 read, 2 write, 1 execute), start, end
      [1, 5, textStart, textEnd],
      [1, 4, rodataStart, rodataEnd],
      [1, 6, dynamicAt, loadEnd],
      [2, 6, dynamicAt, dynamicAt + dynamic.length],
    ],
  }));
}

/** A call by register names it in the destination field for BPF, in the immediate for SBPF v0. */
function moveCallRegisters(code: Uint8Array): void {
  const CALL_REGISTER = 0x8d;
  for (let at = 0; at < code.length; at += 8) {
    if (code[at] !== CALL_REGISTER) continue;
    view(code).setInt32(at + 4, code[at + 1] & 15, true);
    code[at + 1] = 0;
  }
}

function stringTable(names: string[]): { bytes: Uint8Array; offsets: Map<string, number> } {
  const offsets = new Map<string, number>();
  let joined = "\0";
  for (const name of names) {
    if (name === "" || offsets.has(name)) continue;
    offsets.set(name, joined.length);
    joined += name + "\0";
  }
  return { bytes: new TextEncoder().encode(joined), offsets };
}

function fileHead(
  file: { entry: number; headersAt: number; sectionCount: number; segments: number[][] },
): Uint8Array {
  const head = new Uint8Array(HEAD);
  const v = view(head);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELF, 64 bit, little-endian, version 1
  v.setUint16(16, 3, true); // shared object
  v.setUint16(18, 247, true); // BPF
  v.setUint32(20, 1, true);
  v.setBigUint64(24, BigInt(file.entry), true);
  v.setBigUint64(32, 64n, true);
  v.setBigUint64(40, BigInt(file.headersAt), true);
  v.setUint16(52, 64, true);
  v.setUint16(54, 56, true);
  v.setUint16(56, PROGRAM_HEADERS, true);
  v.setUint16(58, 64, true);
  v.setUint16(60, file.sectionCount, true);
  v.setUint16(62, file.sectionCount - 1, true);
  file.segments.forEach(([type, flags, start, end], i) => {
    const at = 64 + 56 * i;
    v.setUint32(at, type, true);
    v.setUint32(at + 4, flags, true);
    for (const offset of [8, 16, 24]) v.setBigUint64(at + offset, BigInt(start), true);
    for (const offset of [32, 40]) v.setBigUint64(at + offset, BigInt(end - start), true);
    v.setBigUint64(at + 48, 8n, true);
  });
  return head;
}
