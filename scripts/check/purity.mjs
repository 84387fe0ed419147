// Rules of the floors that Cargo does not enforce.
import { productRust } from './tree.mjs';

export function purity(tree) {
  return [...decides(tree), ...translates(tree), ...shows(tree)];
}

const found = (file, text, rules) =>
  rules.filter(([pattern]) => pattern.test(text)).map(([, problem]) => ({ file, problem }));

/** Floor 0 reads no clock: `now` is an argument. */
const CLOCK = [[/\b(Instant|SystemTime)::now\b/, 'reads the clock, which floor 0 has not']];

function decides(tree) {
  return tree.files('crates/core/src', '.rs').flatMap((file) => found(file, productRust(tree.read(file)), CLOCK));
}

/** Floor 3 has no times and makes no failures of its own. */
const DECISIONS = [
  [/\btokio::time\b|\bsleep\(|\btimeout\(/, 'waits, which floor 3 does not'],
  [/\bconst \w+: (Limit<)?Duration\b/, 'has a time of its own, which floor 3 has not'],
  [/\bFailure::new\b/, 'makes a failure, which floor 3 does not'],
];

function translates(tree) {
  return tree
    .files('src', '.rs')
    .filter((file) => !file.startsWith('src/bridge/') && file !== 'src/test_hooks.rs')
    .flatMap((file) => found(file, productRust(tree.read(file)), DECISIONS));
}

/** The face has no table of errors and chooses no number. */
const CHOICES = [
  [/\bretryable: (true|false)\b/, 'decides what is retryable'],
  [/\?\?=? \d[\d_.]*\b/, 'chooses a number'],
];

function shows(tree) {
  return tree
    .files('lib', '.ts')
    .flatMap((file) => found(file, tree.read(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, ''), CHOICES));
}
