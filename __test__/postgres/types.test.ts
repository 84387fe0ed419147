// Results and parameters are those of `pg`, value by value, on the same server, in processes of three time zones.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { peersMissing } from '../support/peers';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { SCHEMA } from './differential/cases';
import type { Assignment, Comparison } from './differential/run';

const program = join(__dirname, 'differential', 'run.ts');
/** The zone of a process, its minutes behind UTC in 1970, and the zone of its sessions. */
const ZONES = [
  ['UTC', 0, 'America/New_York'],
  ['America/New_York', 300, 'Asia/Kathmandu'],
  ['Asia/Kathmandu', -330, 'UTC'],
] as const;
/** Of each type, each way, in each zone. */
const VALUES = 200;
/** Rows of 20 columns in each zone. */
const ROWS = 10_000;

describe(
  'values of PostgreSQL are those that pg gives',
  { skip: peersMissing() || skipWithoutPostgres(), timeout: 180_000 },
  () => {
    let postgres: Postgres;
    before(async () => {
      postgres = await Postgres.start();
      postgres.psql(SCHEMA);
    });
    after(() => postgres?.stop());

    for (const [index, [zone, offset, sessionZone]] of ZONES.entries()) {
      test(`in ${zone}, with sessions in ${sessionZone}`, async () => {
        const assignment: Assignment = {
          server: postgres.config,
          seed: 1000 * (index + 1),
          values: VALUES,
          rows: ROWS,
          sessionZone,
        };
        const args = ['--import', 'tsx', program, JSON.stringify(assignment)];
        const { stdout } = await promisify(execFile)(process.execPath, args, {
          env: { ...process.env, TZ: zone },
          timeout: 120_000,
        });
        const { differences, ...counts } = JSON.parse(stdout) as Comparison;
        assert.deepEqual(differences, []);
        assert.equal(counts.offset, offset);
        assert.ok(counts.types >= 40, `${counts.types} types`);
        assert.ok(counts.results >= 10_000 && counts.parameters >= 10_000, JSON.stringify(counts));
        assert.equal(counts.cells, ROWS * 20);
      });
    }
  },
);
