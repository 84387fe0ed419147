// Cold start: what `require` costs a fresh process. Every measurement is a process of its own, so this bench does
// its rounds itself; its lines are those of the harness, with one operation for one `require`.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { bundleFace } from '../scripts/lib/bundle.mjs';
import { root } from '../scripts/lib/run.mjs';

const ROUNDS = 15;
const load = createRequire(import.meta.url);

/** Our files as they are installed: in one piece, and the binary in a package of its own. */
function packed() {
  const directory = join(root, 'target', 'bench-start');
  bundleFace(directory);
  for (const file of readdirSync(join(root, 'dist')).filter((file) => file.endsWith('.node'))) {
    const name = file.replace(/^moorline\.(.*)\.node$/, 'moorline-$1');
    const own = join(directory, 'node_modules', name);
    mkdirSync(own, { recursive: true });
    copyFileSync(join(root, 'dist', file), join(own, file));
    writeFileSync(join(own, 'package.json'), JSON.stringify({ name, main: file }));
  }
  return join(directory, 'dist', 'entries', 'index.js');
}

const contestants = [
  { name: 'moorline', module: packed() },
  { name: '@libsql/client', module: load.resolve('@libsql/client') },
  { name: 'opossum', module: load.resolve('opossum') },
];

/** One `require` in a new process: elapsed and CPU time in microseconds. */
function measure(module) {
  const script = `
    const cpu = process.cpuUsage();
    const started = performance.now();
    require(${JSON.stringify(module)});
    const elapsed = performance.now() - started;
    const { user, system } = process.cpuUsage(cpu);
    console.log(JSON.stringify({ elapsedUs: elapsed * 1000, cpuUs: user + system }));
    process.exit();`;
  return JSON.parse(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }));
}

const rounds = new Map(contestants.map(({ name }) => [name, []]));
for (const { module } of contestants) measure(module);
for (let round = 0; round < ROUNDS; round++) {
  for (let turn = 0; turn < contestants.length; turn++) {
    const { name, module } = contestants[(round + turn) % contestants.length];
    rounds.get(name).push(measure(module));
  }
}

const at = (values, share) => values.sort((a, b) => a - b)[Math.floor(values.length * share)];
for (const [index, { name }] of contestants.entries()) {
  const elapsed = rounds.get(name).map(({ elapsedUs }) => elapsedUs);
  const cpu = rounds.get(name).map(({ cpuUs }) => cpuUs);
  const p50Us = Math.round(at(elapsed, 0.5));
  const result = {
    bench: 'start',
    case: 'require',
    contestant: name,
    ours: index === 0,
    opsPerSecond: Math.round(1_000_000 / p50Us),
    cpuUsPerOp: Math.round(at(cpu, 0.5)),
    mainUsPerOp: p50Us,
    p50Us,
    p99Us: Math.round(at(elapsed, 0.99)),
  };
  if (process.argv.includes('--json')) console.log(JSON.stringify(result));
  else
    console.log(
      `${name.padEnd(16)} ${(p50Us / 1000).toFixed(1).padStart(6)} ms, CPU ${(result.cpuUsPerOp / 1000).toFixed(1)} ms`,
    );
}
