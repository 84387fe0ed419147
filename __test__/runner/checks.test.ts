// The checks of the text: each finds a fault that is planted, and an exception that is none any more is one.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { root } from '../support/paths';

interface Checks {
  problemsOf(tree: unknown): string[];
}
interface Trees {
  Tree: new (root: string, overlay?: Record<string, string>) => unknown;
  applyExceptions(
    problems: { file: string; problem: string }[],
    exceptions: Record<string, string>,
  ): { problem: string }[];
}

const load = <Module>(name: string): Promise<Module> =>
  import(pathToFileURL(join(root, 'scripts', 'check', name)).href) as Promise<Module>;

const text = (file: string) => readFileSync(join(root, file), 'utf8');
const lines = (count: number) => 'const one = 1;\n'.repeat(count);
const many = (directory: string, extension: string) =>
  Object.fromEntries(Array.from({ length: 26 }, (_, index) => [`${directory}/${index}.${extension}`, '']));

/** What is planted, and what is said of it. */
const FAULTS: [title: string, planted: Record<string, string>, expected: string][] = [
  ['a long file', { 'lib/runtime/long.ts': lines(401) }, '401 lines, the budget is 400'],
  ['a long binding', { 'src/long.rs': lines(251) }, '251 lines, the budget is 250'],
  ['a module named for nothing', { 'lib/runtime/utils.ts': '' }, 'a module named for nothing'],
  ['a crowded folder', many('lib/crowd', 'ts'), '26 files, the budget of a folder is 20'],
  ['a crowded folder of tests', many('__test__/crowd', 'ts'), '26 files, the budget of a folder is 25'],
  [
    'a runtime on floor 0',
    {
      'crates/core/Cargo.toml': text('crates/core/Cargo.toml').replace(
        '[dependencies]\n',
        '[dependencies]\ntokio = "1"\n',
      ),
    },
    'must not depend on tokio',
  ],
  ['unsafe code outside of the bridge', { 'src/planted.rs': 'unsafe fn f() {}' }, 'unsafe belongs to src/bridge alone'],
  [
    'an export that can abort',
    { 'src/planted.rs': '#[napi]\npub fn f() {}' },
    'an exported function without catch_unwind',
  ],
  [
    'a function of the addon without a type',
    { 'src/planted/fast.rs': `const NAME: &'static CStr = c"plantedTake";` },
    'plantedTake has no type in a .d.ts',
  ],
  [
    'a type without its function',
    { 'src/planted/fast.d.ts': 'export declare function plantedTake(): void;' },
    'plantedTake is declared and not there',
  ],
  [
    'a promise without a handler',
    { 'lib/http/planted.ts': '  void send();' },
    'a promise without a handler of its rejection',
  ],
  ['a bare timer', { 'lib/http/planted.ts': '  setTimeout(ring, 1);' }, 'a timer is set by startTimer alone'],
  [
    'a service that uses another, in a group',
    { 'crates/services/src/sse/planted.rs': 'use crate::{\n    libsql::Pool,\n    sse::Cursor,\n};' },
    'sse must not use libsql',
  ],
  [
    'a face that uses another',
    { 'lib/health/planted.ts': "import { a } from '../http/transport';" },
    'health must not use http',
  ],
  [
    'a command that loads what it has not installed',
    {
      'scripts/lib/planted.mjs': "import {\n  a,\n} from 'esbuild';",
      'scripts/planted.mjs': "import { a } from './lib/planted.mjs';\ninstallPackages();",
    },
    'loads esbuild before it is installed, by scripts/lib/planted.mjs',
  ],
  [
    'an event that no page names',
    { 'lib/http/planted.ts': "log('warn', 'planted.event', 'planted', () => ({}));" },
    'does not name planted.event',
  ],
  ['a file of lib/ in no folder', { 'lib/planted.ts': '' }, 'a file of lib/ belongs to a folder'],
  [
    'a folder of lib/ that no rule names and that uses another',
    { 'lib/planted/index.ts': "import { a } from '../http/transport';" },
    'planted must not use http',
  ],
  [
    'a cycle in lib/',
    { 'lib/http/one.ts': "import { b } from './two';", 'lib/http/two.ts': "import type { a } from './one';" },
    'a cycle: lib/http/one.ts, lib/http/two.ts',
  ],
  [
    'a cycle in lib/ over the index of a folder',
    { 'lib/http/index.ts': "export { a } from './one';", 'lib/http/one.ts': "import type { a } from './';" },
    'a cycle: lib/http/index.ts, lib/http/one.ts',
  ],
  [
    'a cycle in a crate',
    { 'crates/core/src/one.rs': 'use crate::two::B;', 'crates/core/src/two.rs': 'use crate::one::A;' },
    'a cycle: one, two',
  ],
  ['a clock on floor 0', { 'crates/core/src/planted.rs': 'let now = Instant::now();' }, 'reads the clock'],
  ['a wait on floor 3', { 'src/planted.rs': 'tokio::time::sleep(a).await' }, 'waits, which floor 3 does not'],
  ['a failure made on floor 3', { 'src/planted.rs': 'Failure::new(Kind::Closed, "")' }, 'makes a failure'],
  ['a time of floor 3', { 'src/planted.rs': 'const A: Duration = B;' }, 'has a time of its own'],
  ['a decision of the face', { 'lib/http/planted.ts': 'const a = { retryable: true };' }, 'decides what is retryable'],
  ['a number of the face', { 'lib/http/planted.ts': 'const a = b ?? 100;' }, 'chooses a number'],
  [
    'a service that is nowhere else',
    { 'crates/services/src/planted/mod.rs': '//! It speaks.' },
    'planted is not in src, and does not say why',
  ],
  [
    'a way to reach a host that is nowhere else',
    { 'crates/net/src/ssh/mod.rs': '//! It tunnels.' },
    'crates/net/src/ssh/mod.rs: has no service.rs and does not say why',
  ],
  [
    'a part of a service that has no such service',
    { 'crates/services/src/oauth/mod.rs': '//! It authorizes.' },
    'integrations is not in lib, and does not say why',
  ],
  ['a service under no contract', { 'crates/services/src/planted/mod.rs': '' }, 'does not describe planted'],
  ['a service that the changelog leaves out', { 'crates/services/src/planted/mod.rs': '' }, 'does not name planted'],
  ['a module that is not declared', { 'src/planted/mod.rs': '' }, 'src/lib.rs: does not declare planted'],
  ['public names that are not given out', { 'lib/planted/index.ts': '' }, 'does not give out planted'],
  ['an entry without a key', { 'lib/entries/planted.ts': '' }, 'lib/entries/planted.ts: is no entry in package.json'],
  [
    'a key without an entry',
    {
      'package.json': text('package.json').replace(
        '"./package.json"',
        '"./planted": { "types": "./planted.d.ts", "default": "./dist/entries/planted.js" }, "./package.json"',
      ),
    },
    'lib/entries/planted.ts: is in package.json and not there',
  ],
  ['a guide without a link', { 'docs/services/planted.md': '' }, 'has no link to docs/services/planted.md'],
  [
    'a service that uses another, from the top of the crate',
    { 'crates/services/src/planted.rs': 'use crate::libsql::Pool;' },
    'planted must not use libsql',
  ],
  [
    'a retired word',
    { 'crates/net/src/dial/planted.rs': 'pub const FOR_EVER: Duration = A;' },
    'defines FOR_EVER, which is called NO_TIMEOUT here',
  ],
  [
    'a path that is nowhere',
    { 'lib/http/planted.ts': '// As in lib/nowhere.ts.' },
    'names lib/nowhere.ts, which is not there',
  ],
  [
    'a decision by its number',
    { 'src/planted.rs': '// docs/adr/0009' },
    'cites decision 0009 without the name of its page',
  ],
  ['a decision that was never taken', { 'src/planted.rs': '// ADR 99' }, 'cites decision 0099, which is not there'],
  ['a dead link', { 'docs/planted.md': '[here](nowhere.md)' }, 'links to nowhere.md, which is not there'],
  [
    'a bench that opens what no user can',
    { 'bench/planted.mjs': "const { HttpTransport } = load('../dist/http/transport.js');" },
    'opens ../dist/http/transport.js, which is no entry of the package',
  ],
  [
    'a server of a bench that goes out of its folder in parts',
    { 'bench/servers/planted.mjs': "join(import.meta.dirname, '../..', 'dist')" },
    'opens ../.., which is no entry of the package',
  ],
  [
    'a bench that names no entry',
    { 'bench/planted.mjs': "load('moorline/runtime')" },
    'opens moorline/runtime, which is no entry of the package',
  ],
  ['a banned crate', { 'Cargo.lock': '[[package]]\nname = "rusqlite"\n' }, 'rusqlite is banned by deny.toml'],
];

test('the text as it is has no fault', async () => {
  const [{ problemsOf }, { Tree }] = [await load<Checks>('text.mjs'), await load<Trees>('tree.mjs')];
  assert.deepEqual(problemsOf(new Tree(root)), []);
});

for (const [title, planted, expected] of FAULTS) {
  test(`${title} is found`, async () => {
    const [{ problemsOf }, { Tree }] = [await load<Checks>('text.mjs'), await load<Trees>('tree.mjs')];
    const problems = problemsOf(new Tree(root, planted));
    assert.ok(
      problems.some((problem) => problem.includes(expected)),
      `${expected} is not among:\n${problems.join('\n')}`,
    );
  });
}

test('an exception that is no problem any more is one', async () => {
  const { applyExceptions } = await load<Trees>('tree.mjs');
  const problems = [{ file: 'a', problem: 'long' }];
  assert.deepEqual(applyExceptions(problems, { 'a: long': 'why' }), []);
  const [stale] = applyExceptions([], { 'a: long': 'why' });
  assert.match(stale!.problem, /none any more: a: long/);
});
