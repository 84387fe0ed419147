// What a library of Linux asks of the glibc that it is loaded with.
import { readFileSync } from 'node:fs';

const SHT_GNU_VERNEED = 0x6ffffffe;

/** The newest version of glibc that the 64-bit library in `path` needs a symbol of; undefined when it needs none. */
export function neededGlibc(path) {
  const file = readFileSync(path);
  const versions = neededVersions(file).flatMap((name) => name.match(/^GLIBC_([\d.]+)$/)?.[1] ?? []);
  return versions.sort(compareVersions).at(-1);
}

/** As numbers, part by part: 2.9 comes before 2.17. */
export function compareVersions(one, other) {
  const [left, right] = [one, other].map((version) => version.split('.').map(Number));
  const at = left.findIndex((part, index) => part !== right[index]);
  return at === -1 ? left.length - right.length : left[at] - (right[at] ?? -1);
}

/** The names in its table of needed versions (System V ABI, with the extension for symbol versions). */
function neededVersions(file) {
  const sections = readSections(file);
  const table = sections.find(({ type }) => type === SHT_GNU_VERNEED);
  if (!table) return [];
  const strings = sections[table.link];
  const names = [];
  let verneedOffset = table.offset;
  for (let left = table.info; left > 0; left--) {
    let vernauxOffset = verneedOffset + file.readUInt32LE(verneedOffset + 8);
    for (let more = file.readUInt16LE(verneedOffset + 2); more > 0; more--) {
      const nameOffset = strings.offset + file.readUInt32LE(vernauxOffset + 8);
      names.push(file.toString('latin1', nameOffset, file.indexOf(0, nameOffset)));
      vernauxOffset += file.readUInt32LE(vernauxOffset + 12);
    }
    verneedOffset += file.readUInt32LE(verneedOffset + 12);
  }
  return names;
}

function readSections(file) {
  if (file.toString('latin1', 0, 4) !== '\x7fELF' || file[4] !== 2) throw new Error('not a 64-bit library of Linux');
  const [offset, size, count] = [Number(file.readBigUInt64LE(0x28)), file.readUInt16LE(0x3a), file.readUInt16LE(0x3c)];
  return Array.from({ length: count }, (_, index) => {
    const at = offset + index * size;
    return {
      type: file.readUInt32LE(at + 4),
      offset: Number(file.readBigUInt64LE(at + 24)),
      link: file.readUInt32LE(at + 40),
      info: file.readUInt32LE(at + 44),
    };
  });
}
