// The generated pages of docs/reference: `npm run docs` writes them, `npm run check` fails when they are stale.
//
// - api.md: every public name with its documentation, from the committed typings;
// - defaults.md: every option with its default from its documentation, and what the built addon itself answers
//   when it is given a value that cannot be right;
// - errors.md: the taxonomy, from crates/core/src/error.rs, the built addon and the typings.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { entries } from './docs/typings.mjs';
import { apiPage } from './docs/api.mjs';
import { defaultsPage } from './docs/defaults.mjs';
import { errorsPage } from './docs/errors.mjs';
import { ENTRIES } from './lib/entries.mjs';
import { fail, isMain, root } from './lib/run.mjs';

const NOTICE = '<!-- Written by `npm run docs`; do not edit. -->\n\n';

const DIRECTORY = join(root, 'docs', 'reference');

/** Page → text. */
function pages() {
  const typings = entries();
  const load = createRequire(import.meta.url);
  const { native } = load(join(root, 'dist', 'runtime', 'native.js'));
  const modules = Object.fromEntries(ENTRIES.map(({ specifier, main }) => [specifier, load(join(root, main))]));
  return {
    'api.md': NOTICE + apiPage(typings),
    'defaults.md': NOTICE + defaultsPage(typings, modules),
    'errors.md': NOTICE + errorsPage(typings, JSON.parse(native.failureDefaults())),
  };
}

if (isMain(import.meta.url)) {
  const stale = Object.entries(pages()).filter(([name, text]) => {
    const path = join(DIRECTORY, name);
    return !existsSync(path) || readFileSync(path, 'utf8') !== text;
  });
  if (process.argv.includes('--check')) {
    if (stale.length > 0) fail(`docs/reference/${stale[0][0]} is stale: run \`npm run docs\``);
  } else {
    for (const [name, text] of stale) writeFileSync(join(DIRECTORY, name), text);
  }
}
