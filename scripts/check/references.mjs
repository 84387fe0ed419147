// Paths and numbers of decisions that comments and documents name exist.
import { dirname, join } from 'node:path';

/** Its faults are planted. */
const CHECKS_TEST = '__test__/runner/checks.test.ts';

const PATH = /(?:^|[\s`('"])((?:crates|src|lib|__test__|scripts|docs|bench|examples|\.github)\/[\w./-]*[\w/])/g;
const LINK = /\]\(([^)#:\s]+)(?:#[^)]*)?\)/g;
const DECISION = /\bADR (\d+)\b|\badr\/(\d{4})(?!\d*-)/g;

export function referenceProblems(tree) {
  const decisions = tree.files('docs/adr', '.md');
  const code = [
    ...tree.files('crates', '.rs', '.toml'),
    ...tree.files('src', '.rs'),
    ...tree.files('lib', '.ts'),
    ...tree.files('scripts', '.mjs'),
    ...tree.files('__test__', '.ts').filter((file) => file !== CHECKS_TEST),
    ...['Cargo.toml', 'build.rs', 'deny.toml'].filter((file) => tree.has(file)),
  ];
  const documents = [
    ...tree.files('docs', '.md'),
    ...tree.files('bench', '.md'),
    ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md'].filter((file) => tree.has(file)),
  ];
  return [
    ...code.flatMap((file) => missingPaths(tree, file, comments(tree.read(file), file), decisions)),
    ...documents.flatMap((file) => [
      ...missingPaths(tree, file, tree.read(file), decisions),
      ...brokenLinks(tree, file, tree.read(file)),
    ]),
  ];
}

/** What is said beside the code. */
function comments(text, file) {
  const pattern = file.endsWith('.toml') ? /#.*$/gm : /\/\/.*$|\/\*[\s\S]*?\*\//gm;
  return (text.match(pattern) ?? []).join('\n');
}

function missingPaths(tree, file, text, decisions) {
  const paths = [...text.matchAll(PATH)]
    .map(([, path]) => path.replace(/[.,/]+$/, ''))
    .filter((path) => !/[*{<]|\.\.\./.test(path) && !exists(tree, path));
  const numbers = [...text.matchAll(DECISION)]
    .map(([, number, short]) => (number ?? short).padStart(4, '0'))
    .filter((number) => !decisions.some((name) => name.startsWith(`docs/adr/${number}-`)));
  const cited = [...text.matchAll(/\badr\/(\d{4})(?![\d-])/g)].map(([, number]) => number);
  return [
    ...[...new Set(paths)].map((path) => ({ file, problem: `names ${path}, which is not there` })),
    ...[...new Set(numbers)].map((number) => ({ file, problem: `cites decision ${number}, which is not there` })),
    ...[...new Set(cited)].map((number) => ({
      file,
      problem: `cites decision ${number} without the name of its page`,
    })),
  ];
}

const exists = (tree, path) =>
  [path, `${path}.rs`, `${path}.ts`, `${path}.mjs`, `${path}.md`].some((target) => tree.has(target));

function brokenLinks(tree, file, text) {
  return [...text.matchAll(LINK)]
    .map(([, link]) => link)
    .filter((link) => !/^(https?:|mailto:)/.test(link) && !tree.has(join(dirname(file), decodeURI(link))))
    .map((link) => ({ file, problem: `links to ${link}, which is not there` }));
}
