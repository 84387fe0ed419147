// The program of `npm run soak`: leak tests that run for minutes, and a table of their results.
import { parseArgs } from 'node:util';

import type { Subject } from '../../contract/contract';
import { type Program, PROGRAMS, runProgram } from '../../hostile/run';
import { subjects } from '../../contract/subjects';
import { soakColdDatabase } from './cold-database';
import { assertFlat, measure, repetitions } from './memory-growth';
import { soakPostgresFaults } from './postgres-faults';
import { soakCursor } from './sse-cursor';
import { soakTunnel } from './tunnel-faults';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: 'string' }, seed: { type: 'string' } },
});

async function soak(subject: Subject, minutes: number): Promise<void> {
  const skipReason = subject.skipReason?.();
  if (skipReason) return console.log(`${subject.name}: ${skipReason}`);
  const server = await subject.serve?.();
  try {
    const all = repetitions(subject);
    for (const repetition of all) {
      const measured = await measure(subject, server?.url ?? '', repetition, (minutes * 60_000) / all.length);
      const { grownBytes, operations, elapsedMs } = measured;
      const flat = isFlat(measured);
      if (!flat) process.exitCode = 1;
      console.log(
        `| ${subject.name} | ${repetition} | ${operations.toLocaleString('en')} | ${(elapsedMs / 1000).toFixed(0)} ` +
          `| ${(grownBytes / 2 ** 20).toFixed(1)} | ${flat ? 'yes' : 'NO'} |`,
      );
    }
  } finally {
    await server?.stop();
  }
}

function isFlat(measured: Parameters<typeof assertFlat>[0]): boolean {
  try {
    assertFlat(measured);
    return true;
  } catch (error) {
    console.error((error as Error).message);
    return false;
  }
}

/** A minute of each program, unless told otherwise. */
async function soakHostile(minutes: number, programs = Object.keys(PROGRAMS) as Program[]): Promise<void> {
  console.log('| hostile | seed | what it did | survived |\n|---|---|---|---|');
  for (const program of programs) {
    const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed);
    const { output, survived } = await runProgram(program, seed, minutes * 60_000);
    if (!survived) process.exitCode = 1;
    console.log(`| ${program} | ${seed} | ${output} | ${survived ? 'yes' : 'NO'} |`);
  }
}

async function main(): Promise<void> {
  if (positionals[0] === 'sse-cursor') return soakCursor(100, values.seed);
  if (positionals[0] === 'libsql') return soakColdDatabase();
  if (positionals[0] === 'ssh') return soakTunnel();
  if (positionals[0] === 'postgres') {
    await soakPostgresFaults();
    return soakHostile(1, ['postgres']);
  }
  const minutes = Number(values.minutes ?? (positionals.includes('hostile') ? 1 : 5));
  if (positionals.includes('hostile') && minutes > 0) return soakHostile(minutes);
  // `connections` means every `…Connection`.
  const parts = positionals.map((part) => part.toLowerCase().replace(/s$/, ''));
  const wanted = subjects.filter(({ name }) => parts.some((part) => name.toLowerCase().includes(part)));
  if (wanted.length === 0 || !(minutes > 0)) {
    const names = subjects.map(({ name }) => name).join(', ');
    console.error(
      `usage: npm run soak -- <part of a name> … [--minutes 5]\nnames: ${names}, hostile, sse-cursor, libsql, ssh, postgres`,
    );
    process.exitCode = 1;
    return;
  }
  console.log('| service | what | times | s | MB more | flat |\n|---|---|---|---|---|---|');
  for (const subject of wanted) await soak(subject, minutes);
}

void main();
