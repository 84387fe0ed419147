// The text of a checkout, for the checks that only read it. A check is a function of a tree that returns its problems.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What is not ours to judge: made, installed, or of no interest. */
const IGNORED_PATHS = /(^|\/)(node_modules|target|dist|\.git)(\/|$)/;

/**
 * A problem of one file.
 * @typedef {{ file: string, problem: string }} Problem
 */

export class Tree {
  #texts;

  /** @param {Record<string, string>} overlay Files that are not there, or have another text there. */
  constructor(root, overlay = {}) {
    this.root = root;
    this.#texts = new Map(Object.entries(overlay));
    this.overlayFiles = Object.keys(overlay);
  }

  /** The files under `directory` that end with one of `extensions`, by their path from the root. */
  files(directory, ...extensions) {
    const prefix = directory === '.' ? '' : `${directory}/`;
    const overlaid = this.overlayFiles.filter((file) => file.startsWith(prefix));
    const onDisk = existsSync(join(this.root, directory)) ? walk(this.root, directory) : [];
    return [...new Set([...onDisk, ...overlaid])]
      .filter((file) => !IGNORED_PATHS.test(file) && extensions.some((extension) => file.endsWith(extension)))
      .sort();
  }

  /** The directories directly in `directory`, by name. */
  folders(directory) {
    const overlaid = this.overlayFiles
      .filter((file) => file.startsWith(`${directory}/`))
      .map((file) => file.slice(directory.length + 1).split('/'))
      .flatMap(([name, ...rest]) => (rest.length > 0 ? [name] : []));
    const onDisk = readdirSync(join(this.root, directory), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !IGNORED_PATHS.test(entry.name))
      .map((entry) => entry.name);
    return [...new Set([...onDisk, ...overlaid])];
  }

  has(path) {
    return (
      this.overlayFiles.some((file) => file === path || file.startsWith(`${path}/`)) ||
      existsSync(join(this.root, path))
    );
  }

  read(file) {
    if (!this.#texts.has(file)) this.#texts.set(file, readFileSync(join(this.root, file), 'utf8'));
    return this.#texts.get(file);
  }
}

/** The files under a directory but those that are left out, by their path from the root. */
function* walk(root, directory) {
  for (const entry of readdirSync(join(root, directory), { withFileTypes: true })) {
    const path = directory === '.' ? entry.name : `${directory}/${entry.name}`;
    if (IGNORED_PATHS.test(path)) continue;
    if (entry.isDirectory()) yield* walk(root, path);
    else if (entry.isFile()) yield path;
  }
}

/** Rust without its comments and what `#[cfg(test)]` compiles, each line where it was. */
export function stripCommentsAndTests(text) {
  const [product] = text.split(/^#\[cfg\(test\)\]\nmod \w+ \{$/m);
  return product.replace(/\/\/.*$/gm, '');
}

/**
 * The problems that are no exceptions, and the exceptions that are no problems any more: a list of them only shrinks.
 * @param {Problem[]} problems
 * @param {Record<string, string>} exceptions `file: problem` → why it stays.
 */
export function applyExceptions(problems, exceptions) {
  const names = new Set(problems.map(({ file, problem }) => `${file}: ${problem}`));
  const stale = Object.keys(exceptions)
    .filter((name) => !names.has(name))
    .map((name) => ({ file: 'scripts/check', problem: `an exception that is none any more: ${name}` }));
  return [...problems.filter(({ file, problem }) => !(`${file}: ${problem}` in exceptions)), ...stale];
}
