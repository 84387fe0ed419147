// The lists that something new is added to: whatever stands in the tree is in those that must name it.

export function listProblems(tree) {
  return [
    ...moduleProblems(tree),
    ...faceEntryProblems(tree),
    ...entryProblems(tree),
    ...guideProblems(tree),
    ...changelogProblems(tree),
    ...subjectProblems(tree),
    ...logEventProblems(tree),
  ];
}

const CRATES = ['crates/core/src', 'crates/net/src', 'crates/services/src', 'src'];

/** Cargo does not look at a file that no module declares. */
function moduleProblems(tree) {
  return CRATES.flatMap((root) => {
    const declared = new Set(
      [...tree.read(`${root}/lib.rs`).matchAll(/^(?:pub )?mod (\w+);$/gm)].map(([, name]) => name),
    );
    const onDisk = tree.files(root, '.rs').map((file) =>
      file
        .slice(root.length + 1)
        .split('/')[0]
        .replace('.rs', ''),
    );
    return [...new Set(onDisk)]
      .filter((name) => name !== 'lib' && !declared.has(name))
      .map((name) => ({ file: `${root}/lib.rs`, problem: `does not declare ${name}` }));
  });
}

/** A folder of lib/ with an index has public names. */
function faceEntryProblems(tree) {
  const entry = 'lib/entries/index.ts';
  return tree
    .folders('lib')
    .filter(
      (name) =>
        name !== 'entries' && tree.has(`lib/${name}/index.ts`) && !tree.read(entry).includes(`from '../${name}';`),
    )
    .map((name) => ({ file: entry, problem: `does not give out ${name}` }));
}

/** Every key of `exports` with typings has a file in lib/entries, and every file there a key. */
function entryProblems(tree) {
  const { exports } = JSON.parse(tree.read('package.json'));
  const keys = Object.values(exports).flatMap(({ types, default: main }) =>
    types ? [main.replace('./dist', 'lib').replace(/\.js$/, '.ts')] : [],
  );
  const onDisk = tree.files('lib/entries', '.ts');
  return [
    ...keys
      .filter((file) => !onDisk.includes(file))
      .map((file) => ({ file, problem: 'is in package.json and not there' })),
    ...onDisk.filter((file) => !keys.includes(file)).map((file) => ({ file, problem: 'is no entry in package.json' })),
  ];
}

function guideProblems(tree) {
  return tree
    .files('docs/services', '.md')
    .filter((guide) => !tree.read('README.md').includes(`](${guide})`))
    .map((guide) => ({ file: 'README.md', problem: `has no link to ${guide}` }));
}

function changelogProblems(tree) {
  const text = tree.read('CHANGELOG.md').toLowerCase();
  return tree
    .folders('crates/services/src')
    .filter((service) => !text.includes(service))
    .map((service) => ({ file: 'CHANGELOG.md', problem: `does not name ${service}` }));
}

/** Every service is under the contract. */
function subjectProblems(tree) {
  const described = tree
    .files('__test__/contract/subjects', '.ts')
    .map((file) => tree.read(file))
    .join();
  return tree
    .folders('crates/services/src')
    .filter((service) => !described.includes(`service: '${service}'`))
    .map((service) => ({ file: '__test__/contract/subjects', problem: `does not describe ${service}` }));
}

/** An operator finds every event that is logged, by name or as `<service>.options-ignored` of a shared instance. */
function logEventProblems(tree) {
  const page = 'docs/logging.md';
  const events = tree.files('lib', '.ts').flatMap((file) => {
    const text = tree.read(file);
    return [
      ...[...text.matchAll(/\blog\(\s*[^,()]+,\s*'([\w.-]+)'/g)].map(([, event]) => event),
      ...[...text.matchAll(/\bsingleton\('(\w+)'/g)].map(([, service]) => `${service}.options-ignored`),
    ];
  });
  return [...new Set(events)]
    .filter((event) => !tree.read(page).includes(`\`${event}\``))
    .map((event) => ({ file: page, problem: `does not name ${event}` }));
}
