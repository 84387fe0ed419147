// Holds the floors, the import table, the bans of deny.toml and the size budgets (docs/architecture.md). Says nothing when all is well.
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(fileURLToPath(import.meta.url), '..', '..', '..');
const problems = [];

const MAX_FILE_LINES = 400;
const MAX_BINDING_LINES = 250;

const files = (directory, ...extensions) =>
  readdirSync(join(root, directory), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && extensions.some((extension) => entry.name.endsWith(extension)))
    .map((entry) => join(entry.parentPath, entry.name));
const read = (file) => readFileSync(file, 'utf8');
const report = (file, problem) => problems.push(`${relative(root, file)}: ${problem}`);

for (const file of [
  ...files('src', '.rs'),
  ...files('crates', '.rs'),
  ...files('lib', '.ts'),
  ...files('scripts', '.mjs'),
]) {
  const lines = read(file).split('\n').length - 1;
  const bridge = relative(root, file).startsWith(join('src', 'bridge'));
  const budget = relative(root, file).startsWith('src') && !bridge ? MAX_BINDING_LINES : MAX_FILE_LINES;
  if (lines > budget) report(file, `${lines} lines, the budget is ${budget}`);
  const name = basename(file).replace(/\.\w+$/, '');
  if (/^(utils?|helpers?|common|types|misc)$/i.test(name)) report(file, 'a module named for nothing');
}

// The floors: core has no driver and no napi, net and services have no napi, unsafe stays in the bridge.
for (const [manifest, forbidden] of [
  ['crates/core/Cargo.toml', ['napi', 'tokio', 'reqwest', 'libsql', 'moorline-net', 'moorline-services']],
  ['crates/net/Cargo.toml', ['napi', 'napi-derive', 'libsql', 'moorline-services']],
  ['crates/services/Cargo.toml', ['napi', 'napi-derive']],
]) {
  const dependencies = read(join(root, manifest))
    .split(/^\[dependencies\]$/m)[1]
    .split(/^\[/m)[0];
  for (const name of forbidden) {
    if (new RegExp(`^${name} *=`, 'm').test(dependencies)) report(join(root, manifest), `must not depend on ${name}`);
  }
}
for (const crate of ['core', 'net', 'services']) {
  const lib = join(root, 'crates', crate, 'src', 'lib.rs');
  if (!read(lib).includes('#![forbid(unsafe_code)]')) report(lib, 'must forbid unsafe code');
}
for (const file of files('src', '.rs')) {
  const text = read(file);
  const bridge = relative(root, file).startsWith(join('src', 'bridge'));
  if (!bridge && /\bunsafe\b/.test(text)) report(file, 'unsafe belongs to src/bridge alone');
  // Without catch_unwind a panic in a synchronous export aborts the process.
  for (const [, attributes] of text.matchAll(/#\[(?:napi_derive::)?napi(\([^\]]*\))?\]\s*\n\s*pub fn/g)) {
    if (!attributes?.includes('catch_unwind') && !attributes?.includes('module_exports')) {
      report(file, 'an exported function without catch_unwind');
    }
  }
}

// A rejection that nobody hears of ends the process, and a time that no timer can count to rings at once.
for (const file of files('lib', '.ts')) {
  for (const [index, line] of read(file).split('\n').entries()) {
    const at = `${file}:${index + 1}`;
    if (/\bvoid [\w.#]+\(/.test(line) && !line.includes('.catch('))
      report(at, 'a promise that nobody waits for, without a catch');
    if (/\bsetTimeout\(/.test(line) && basename(file) !== 'timers.ts') report(at, 'a timer is set by startTimer alone');
  }
}

// No service uses another: neither by path nor from a group of imports.
const services = join(root, 'crates', 'services', 'src');
const names = readdirSync(services, { withFileTypes: true }).filter((entry) => entry.isDirectory());
for (const { name } of names) {
  for (const file of files(join('crates', 'services', 'src', name), '.rs')) {
    const text = read(file);
    const grouped = [...text.matchAll(/\bcrate::\{((?:[^{}]|\{[^{}]*\})*)\}/g)].flatMap(([, group]) =>
      [...group.replace(/\{[^{}]*\}/g, '').matchAll(/(?:^|,)\s*(\w+)/g)].map(([, used]) => used),
    );
    for (const used of [...grouped, ...[...text.matchAll(/\bcrate::(\w+)/g)].map(([, used]) => used)]) {
      if (used !== name) report(file, `${name} must not use ${used}`);
    }
  }
}

// The bans, for those who have no cargo-deny. It knows what is really built, while Cargo.lock has options, too.
const NOT_BUILT = ['ring']; // An option of rustls-webpki that nobody takes.
const denied = [...read(join(root, 'deny.toml')).matchAll(/\{ crate = "([^"]+)"/g)].map(([, name]) => name);
const locked = join(root, 'Cargo.lock');
const packages = new Set([...read(locked).matchAll(/^name = "(.+)"$/gm)].map(([, name]) => name));
for (const name of denied.filter((name) => packages.has(name) && !NOT_BUILT.includes(name))) {
  report(locked, `${name} is banned by deny.toml`);
}
if (denied.length === 0) report(join(root, 'deny.toml'), 'bans nothing');

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
