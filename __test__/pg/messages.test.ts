// What the server says without being asked, to the listeners of a client.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Client } from 'moorline/pg';

import { eventually } from '../support/eventually';
import { Postgres, skipWithoutPostgres } from '../support/postgres';

test('notices and notifications reach the listeners of a client', { skip: skipWithoutPostgres() }, async (t) => {
  const server = await Postgres.start();
  t.after(() => server.stop());
  const client = new Client(server.config);
  const heard: unknown[] = [];
  client.on('notice', ({ message, severity }) => heard.push([severity, message]));
  await client.connect();
  client.on('notification', ({ channel, payload, processId }) => heard.push([channel, payload, processId]));
  await client.query("LISTEN news; NOTIFY news, 'hello'");
  await client.query("DO $$ BEGIN RAISE NOTICE 'told'; END $$");
  await eventually(() => heard.length === 2);
  assert.deepEqual(
    heard.sort(),
    [
      ['NOTICE', 'told'],
      ['news', 'hello', client.processID],
    ].sort(),
  );
  await client.end();
});
