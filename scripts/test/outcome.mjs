// The results of test files, counted from their events.
import { existsSync, readFileSync } from 'node:fs';

/** `{ passed, skipped, failed: [names], pending: [names] }` of the events in `path`. */
export function outcomeOf(path) {
  const outcome = { passed: 0, skipped: 0, failed: [], pending: [] };
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  for (const line of text.split('\n').filter(Boolean)) count(JSON.parse(line), outcome);
  outcome.pending = outcome.pending.map(({ name }) => name);
  return outcome;
}

function count({ type, name, nesting, suite, failure, skip, todo }, outcome) {
  const { pending } = outcome;
  if (type === 'test:dequeue') pending.push({ name, nesting });
  // Where two have one name, it does not matter which is taken for the other.
  const at =
    type === 'test:complete' ? pending.findIndex((entry) => entry.name === name && entry.nesting === nesting) : -1;
  if (at !== -1) pending.splice(at, 1);
  if (type !== 'test:pass' && type !== 'test:fail') return;
  if (skip !== undefined || todo !== undefined) outcome.skipped += 1;
  // A suite, or a test of tests, fails with its parts, which are counted themselves.
  else if (type === 'test:fail' && failure !== 'subtestsFailed') outcome.failed.push(name);
  else if (type === 'test:pass' && !suite) outcome.passed += 1;
}

/**
 * What is said of all files at the end, a line each, and how many failures there were. What was missing for skipped tests
 * is one where it is `required`.
 */
export function summarize({ passed, skipped, failed, missing }, required) {
  const missingNames = [...new Set(missing)];
  const list = (title, names) => (names.length > 0 ? ['', `${title}:`, ...names.map((name) => `  ${name}`)] : []);
  const failures = failed.length + (required ? missingNames.length : 0);
  const lines = [
    ...list('failed', failed),
    ...list(required ? 'missing, and required here' : 'missing, so that tests were skipped', missingNames),
    ...(skipped > 0 ? ['', `${skipped} skipped`] : []),
    `${passed} passed, ${failures} failed`,
  ];
  return { lines, failures };
}
