// Puts the face into as few files as its entries can share, for the package: Node.js takes longer to find and read a
// hundred files than to run what is in them, and longer to read a module in a function of its own than one beside others.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { ENTRIES } from './entries.mjs';
import { root } from './run.mjs';

/** Writes the entries of the package in `directory`, and what they share beside them. An entry reads no code of another. */
export function bundleFace(directory) {
  // Only here, because what imports this file may first have to install it.
  const { buildSync, transformSync } = createRequire(import.meta.url)('esbuild');
  const { outputFiles } = buildSync({
    entryPoints: ENTRIES.map(({ source }) => join(root, source)),
    outbase: join(root, 'lib'),
    outdir: join(directory, 'dist'),
    chunkNames: 'shared-[hash]',
    bundle: true,
    splitting: true,
    // The binaries, in packages of their own, and what is used where the user has it.
    external: ['moorline-*', '@opentelemetry/api'],
    platform: 'node',
    target: 'node20',
    // The only format that esbuild splits; it hides `require`, which the files have again as CommonJS.
    format: 'esm',
    write: false,
    logLevel: 'error',
  });
  for (const { path, text } of outputFiles) {
    const commonJs = { format: 'cjs', platform: 'node', target: 'node20' };
    const minified = { minifyWhitespace: true, minifySyntax: true, lineLimit: 160 };
    const { code } = transformSync(text.replaceAll('__require(', 'require('), { ...commonJs, ...minified });
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, withOwnNames(code));
  }
  for (const { main, specifier } of ENTRIES) {
    // What webpack's own condition leads to: its bundle asks for the package when it runs, because webpack itself can
    // read no binary.
    writeFileSync(
      join(directory, main).replace(/\.js$/, '.webpack.js'),
      `module.exports = __non_webpack_require__(${JSON.stringify(specifier)});\n`,
    );
  }
}

/**
 * Gives classes that mention themselves their names back, which errors and `inspect` show: esbuild makes `var A = class _A`
 * of them. Its own way to do so, `keepNames`, defines the name of each function and takes 2.5 ms of a `require`.
 */
function withOwnNames(text) {
  const renamed = Array.from(text.matchAll(/\b(\w+)=class _\1\b/g), ([, name]) => name);
  return renamed.length === 0 ? text : text.replace(new RegExp(`\\b_(${renamed.join('|')})\\b`, 'g'), '$1');
}
