// What a test needs and this machine cannot have.
import { appendFileSync } from 'node:fs';

/**
 * Gives `reason` for the option `skip` of the tests that it keeps from running. `npm test` lists it at its end, and
 * fails there where MOORLINE_REQUIRE_SERVERS=1; a file that runs without it fails at once.
 */
export function missing(reason: string): string {
  const line = reason.replace(/\s+/g, ' ').trim();
  const record = process.env['MOORLINE_MISSING'];
  if (record) appendFileSync(record, `${line}\n`);
  else if (process.env['MOORLINE_REQUIRE_SERVERS'] === '1') throw new Error(line);
  else console.error(`SKIPPED: ${line}`);
  return line;
}
