// The floors: what a manifest must not name, where unsafe code may be, what an export must catch, where its type stands.
import { dirname } from 'node:path';

const FORBIDDEN = {
  core: [
    'napi',
    'napi-derive',
    'tokio',
    'reqwest',
    'hyper',
    'libsql',
    'moorline-net',
    'moorline-services',
    'moorline-sqlite',
  ],
  sqlite: ['napi', 'napi-derive', 'tokio', 'moorline-core', 'moorline-net', 'moorline-services'],
  net: ['napi', 'napi-derive', 'libsql', 'moorline-services', 'moorline-sqlite'],
  services: ['napi', 'napi-derive', 'libsql'],
};
/** The crate over the C interface of an engine; beside the bridge, the one with unsafe code. */
const UNSAFE_CRATES = ['sqlite'];

export function floorProblems(tree) {
  return [
    ...manifestProblems(tree),
    ...bindingProblems(tree),
    ...typingProblems(tree),
    ...promiseAndTimerProblems(tree),
  ];
}

function manifestProblems(tree) {
  return Object.entries(FORBIDDEN).flatMap(([crate, forbidden]) => {
    const [manifest, lib] = [`crates/${crate}/Cargo.toml`, `crates/${crate}/src/lib.rs`];
    const [, dependencies] = tree.read(manifest).split(/^\[dependencies\]$/m);
    const [dependencySection] = dependencies.split(/^\[/m);
    const problems = forbidden
      .filter((name) => new RegExp(`^${name} *=`, 'm').test(dependencySection))
      .map((name) => ({ file: manifest, problem: `must not depend on ${name}` }));
    if (!UNSAFE_CRATES.includes(crate) && !tree.read(lib).includes('#![forbid(unsafe_code)]')) {
      problems.push({ file: lib, problem: 'must forbid unsafe code' });
    }
    return problems;
  });
}

function bindingProblems(tree) {
  return tree.files('src', '.rs').flatMap((file) => {
    const text = tree.read(file);
    const problems = [];
    if (!file.startsWith('src/bridge/') && /\bunsafe\b/.test(text)) {
      problems.push({ file, problem: 'unsafe belongs to src/bridge alone' });
    }
    // Without catch_unwind a panic in a synchronous export aborts the process.
    for (const [, attributes] of text.matchAll(/#\[(?:napi_derive::)?napi(\([^\]]*\))?\]\s*\n\s*pub fn/g)) {
      if (!attributes?.includes('catch_unwind') && !attributes?.includes('module_exports')) {
        problems.push({ file, problem: 'an exported function without catch_unwind' });
      }
    }
    return problems;
  });
}

/** A hand-written function has its type in its folder, and a type its function. */
function typingProblems(tree) {
  const folders = new Map();
  for (const file of tree.files('src', '.rs', '.d.ts')) {
    const pattern = file.endsWith('.rs') ? /const NAME: &'static [\w:]*CStr = c"(\w+)"/g : /declare function (\w+)/g;
    const [folder, side] = [dirname(file).replace(/(src\/\w+).*/, '$1'), file.endsWith('.rs') ? 'written' : 'declared'];
    if (!folders.has(folder)) folders.set(folder, { written: new Set(), declared: new Set() });
    for (const [, name] of tree.read(file).matchAll(pattern)) folders.get(folder)[side].add(name);
  }
  return [...folders]
    .flatMap(([folder, { written, declared }]) => [
      ...[...written].filter((name) => !declared.has(name)).map((name) => [folder, `${name} has no type in a .d.ts`]),
      ...[...declared]
        .filter((name) => !written.has(name))
        .map((name) => [folder, `${name} is declared and not there`]),
    ])
    .map(([file, problem]) => ({ file, problem }));
}

/** A rejection without a handler ends the process, and a time that is too long for a timer fires at once. */
function promiseAndTimerProblems(tree) {
  return tree.files('lib', '.ts').flatMap((file) =>
    tree
      .read(file)
      .split('\n')
      .flatMap((line, index) => {
        const at = `${file}:${index + 1}`;
        const problems = [];
        if (/\bvoid [\w.#]+\(/.test(line) && !line.includes('.catch(')) {
          problems.push({ file: at, problem: 'a promise without a handler of its rejection' });
        }
        if (/\bsetTimeout\(/.test(line) && file !== 'lib/runtime/timers.ts') {
          problems.push({ file: at, problem: 'a timer is set by startTimer alone' });
        }
        return problems;
      }),
  );
}
