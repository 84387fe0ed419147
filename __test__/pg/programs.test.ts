// moorline/pg in the place of pg: the same programs with both, on the same server.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as ours from 'moorline/pg';

import { peer, peersMissing } from '../support/peers';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { type Module, PROGRAMS, type Setting } from './programs';

describe('moorline/pg beside pg', { skip: skipWithoutPostgres() || peersMissing(), timeout: 120_000 }, () => {
  let server: Postgres;
  let theirs: Module;

  before(async () => {
    server = await Postgres.start();
    theirs = (await peer('pg')).default;
  });
  after(() => server.stop());

  for (const [what, program] of Object.entries(PROGRAMS)) {
    test(what, async () => {
      const setting = (pg: Module): Setting => ({
        pg,
        config: server.config,
        terminate: (id) => void server.psql(`SELECT pg_terminate_backend(${id})`),
      });
      const expected = await program(setting(theirs));
      assert.deepEqual(await program(setting(ours)), expected);
    });
  }
});
