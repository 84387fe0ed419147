// Which part may use which: services in Rust, folders of lib/, and no cycles.
import { dirname, join } from 'node:path';

import { cyclesOf } from './cycles.mjs';

/** The folders that each of lib/ may use, beside lib/runtime: the ways to reach a host. */
const HOST_ACCESS = ['ssh', 'discovery'];
/** The folders for which that is too little or too much. */
const FACE_IMPORTS = {
  runtime: [],
  // Rows of a query are series, and its breaker's states are those of any.
  nixtla: ['libsql', 'resilience', ...HOST_ACCESS],
  sse: ['http', ...HOST_ACCESS],
  metrics: [],
  webhook: [],
  health: [],
  resilience: [],
  connection: ['http', 'websocket', 'sse', 'resilience', 'health', ...HOST_ACCESS],
  ssh: ['resilience', 'health'],
  discovery: ['resilience', 'health'],
  pg: ['postgres', ...HOST_ACCESS],
  postgres: ['metrics', 'resilience', 'health', ...HOST_ACCESS],
  redis: ['resilience', 'health', ...HOST_ACCESS],
  opensearch: ['resilience', 'health', ...HOST_ACCESS],
  monitoring: ['resilience', 'health', 'webhook', 'postgres', 'redis', 'opensearch'],
  jobs: ['libsql', 'redis', 'resilience', 'health'],
  integrations: ['jobs', 'redis', 'webhook', 'resilience', 'health', 'http'],
};

export function importProblems(tree) {
  return [...serviceProblems(tree), ...faceProblems(tree), ...rustCycleProblems(tree)];
}

/** The modules of its crate that a Rust file names: in paths, and in groups of imports. */
function cratePaths(text) {
  const groups = [...text.matchAll(/\bcrate::\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}/g)].flatMap(([, group]) => {
    let flat = group;
    for (let shorter = ''; shorter !== flat;) [flat, shorter] = [flat.replace(/\{[^{}]*\}/g, ''), flat];
    return [...flat.matchAll(/(?:^|,)\s*(\w+)/g)].map(([, used]) => used);
  });
  return [...groups, ...[...text.matchAll(/\bcrate::(\w+)/g)].map(([, used]) => used)];
}

/** No service uses another. What several need is in crates/net, or a trait given at construction. */
function serviceProblems(tree) {
  const root = 'crates/services/src';
  return tree.files(root, '.rs').flatMap((file) => {
    const name = file
      .slice(root.length + 1)
      .split('/')[0]
      .replace('.rs', '');
    const others = new Set(cratePaths(tree.read(file)).filter((used) => used !== name));
    return [...others].map((used) => ({ file, problem: `${name} must not use ${used}` }));
  });
}

/** No cycles between the modules at the top of a crate. */
function rustCycleProblems(tree) {
  return ['core', 'net', 'services', 'sqlite'].flatMap((crate) => {
    const root = `crates/${crate}/src`;
    const edges = new Map();
    for (const file of tree.files(root, '.rs')) {
      const [top] = file.slice(root.length + 1).split('/');
      const name = top.replace('.rs', '');
      if (name === 'lib') continue;
      const used = cratePaths(tree.read(file).split('#[cfg(test)]')[0]).filter((other) => other !== name);
      edges.set(name, new Set([...(edges.get(name) ?? []), ...used]));
    }
    return cyclesOf(edges).map((cycle) => ({ file: root, problem: `a cycle: ${cycle.join(', ')}` }));
  });
}

/** The files of lib/ that a file of it imports. */
function faceImports(tree, file) {
  const specifiers = [...tree.read(file).matchAll(/(?:\bfrom|\bimport\()\s*'(\.[^']*)'/g)].map(([, path]) => path);
  return specifiers
    .map((path) => join(dirname(file), path).replace(/\/$/, ''))
    .filter((path) => path.startsWith('lib/'))
    .map((path) => [`${path}.ts`, `${path}/index.ts`].find((candidate) => tree.has(candidate)) ?? path);
}

function faceProblems(tree) {
  const files = tree.files('lib', '.ts');
  const edges = new Map(files.map((file) => [file, new Set(faceImports(tree, file))]));
  const folderOf = (file) => file.split('/')[1];
  const problems = files
    .filter((file) => file.split('/').length < 3)
    .map((file) => ({ file, problem: 'a file of lib/ belongs to a folder' }));
  for (const file of files) {
    const folder = folderOf(file);
    for (const other of new Set([...edges.get(file)].map(folderOf))) {
      if (other === folder || folder === 'entries' || (other === 'runtime' && folder !== 'runtime')) continue;
      if (!(FACE_IMPORTS[folder] ?? HOST_ACCESS).includes(other))
        problems.push({ file, problem: `${folder} must not use ${other}` });
    }
  }
  const cycles = cyclesOf(edges).map((cycle) => ({ file: cycle[0], problem: `a cycle: ${cycle.join(', ')}` }));
  return [...problems, ...cycles];
}
