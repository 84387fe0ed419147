// What a bench opens of ours: the entries of the package, by their names, so that its figures are those of what users call.
import { dirname, join } from 'node:path';

/** These two measure internals; the engines are contestants beside what users call. */
const OPEN_INTERNALS = ['bench/bridge.mjs', 'bench/start.mjs', 'bench/engines.mjs'];
/** What the entries are found by. */
const MANIFEST = 'package.json';

export function benchProblems(tree) {
  const { name, exports } = JSON.parse(tree.read(MANIFEST));
  const entries = Object.keys(exports).map((key) => key.replace('.', name));
  const isForeign = (file, path) => {
    if (path.startsWith('.'))
      return !join(dirname(file), path).startsWith('bench/') && join('bench', path) !== MANIFEST;
    return (path === name || path.startsWith(`${name}/`)) && !entries.includes(path);
  };
  return tree
    .files('bench', '.mjs', '.cjs', '.js', '.ts')
    .filter((file) => !OPEN_INTERNALS.includes(file))
    .flatMap((file) =>
      [...tree.read(file).matchAll(/(['"`])([^'"`\s]+)\1/g)]
        .map(([, , path]) => path)
        .filter((path) => isForeign(file, path))
        .map((path) => ({ file, problem: `opens ${path}, which is no entry of the package` })),
    );
}
