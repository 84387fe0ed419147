// The licences of everything that is linked into the binary: their texts travel with it.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { fail, readOutput } from './run.mjs';

const BIG = { maxBuffer: 64 * 1024 * 1024 };

/** One text: every crate that is linked for any platform, with its licence, and each licence text once. */
export function thirdPartyLicences() {
  const linked = new Set(
    (readOutput('cargo', ['tree', '-e', 'normal', '--target', 'all', '--prefix', 'none', '-f', '{p}'], BIG) ?? '')
      .split('\n')
      .map((line) => line.split(' ').slice(0, 2).join(' ')),
  );
  const metadata = readOutput('cargo', ['metadata', '--format-version', '1', '--locked'], BIG);
  if (!metadata || linked.size === 0) fail('cargo could not list the dependencies');
  const crates = JSON.parse(metadata)
    .packages.filter(({ source, name, version }) => source && linked.has(`${name} v${version}`))
    .sort((a, b) => a.name.localeCompare(b.name, 'en'));
  const texts = new Map();
  for (const { name, manifest_path: manifest } of crates) {
    for (const text of licenceTexts(dirname(manifest))) texts.set(text, [...(texts.get(text) ?? []), name]);
  }
  const list = crates.map(({ name, version, license }) => `${name} ${version}: ${license ?? 'see below'}`);
  const bodies = [...texts].map(([text, names]) => `${'='.repeat(80)}\n${names.join(', ')}\n\n${text}`);
  return `The binary of moorline contains the following software.\n\n${list.join('\n')}\n\n${bodies.join('\n\n')}\n`;
}

const licenceTexts = (directory) =>
  readdirSync(directory)
    .filter((file) => /^(licen[cs]e|copying|notice|unlicense)/i.test(file))
    .flatMap((file) => {
      try {
        return [readFileSync(join(directory, file), 'utf8').replace(/\r/g, '').trim()];
      } catch {
        return []; // A directory of licences.
      }
    });
