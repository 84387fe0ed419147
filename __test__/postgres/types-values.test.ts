// Parameters that no server has to see: their encoding is that of `pg`, and so are its mistakes but for those named here.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import type * as Values from '../../lib/postgres/values';
import { load } from '../support/native';
import { peer, peersMissing } from '../support/peers';
import { Generator } from './differential/generators';

const { prepareValue, prepareValues } = load<typeof Values>('postgres/values');

/** A value of any kind that a caller might pass, in arrays and in objects. */
function anything(g: Generator, depth = 0): unknown {
  const make = [
    () => null,
    () => undefined,
    () => g.text(),
    () => Number(g.float()),
    () => BigInt(g.digits(30)),
    () => g.random() < 0.5,
    () => g.date(),
    () => g.bytes(),
    () => new Uint16Array([g.int(0, 65_535)]),
    () => g.json(),
    () => Symbol('s'),
    () => anything,
    () => new String(g.text()),
    () => new Map([[1, 2]]),
    () => new (class Special extends Array<unknown> {})(g.text(), null),
    () => Object.create(null) as unknown,
  ];
  const deeper = [
    () => g.many(3, () => anything(g, depth + 1)),
    () => ({ toPostgres: (prepare: (value: unknown) => unknown) => prepare(g.json()) ?? 'none', a: 1 }),
    () => ({ toPostgres: () => ({ toPostgres: () => g.text() }) }),
    () => ({ toPostgres: 'not a function', value: g.json() }),
  ];
  return g.pick(...make, ...(depth < 3 ? deeper : []))();
}

describe('parameters', () => {
  describe('beside pg', { skip: peersMissing() }, () => {
    let theirs: (value: unknown) => unknown;
    before(async () => {
      theirs = (await peer('pg/lib/utils.js')).prepareValue;
    });

    test('10 000 of any kind are encoded alike', () => {
      for (let seed = 0; seed < 10_000; seed++) {
        // Each is made twice, as one with `toPostgres` gives another value each time.
        const [mine, other] = [new Generator(seed), new Generator(seed)].map((g) => anything(g));
        assert.deepEqual(normalized(prepareValue(mine)), normalized(theirs(other)), `seed ${seed}`);
      }
    });

    test('what cannot be encoded fails alike', () => {
      const ring: Record<string, unknown> = {};
      ring['ring'] = ring;
      const list: unknown[] = [];
      list.push(list);
      const circle: object = { toPostgres: () => circle };
      const detour: object = { toPostgres: () => ({ toPostgres: () => detour }) };
      const thrower = {
        toPostgres: () => {
          throw new Error('of the user');
        },
      };
      for (const value of [ring, [ring], list, circle, [circle], detour, thrower, { n: 1n }, Object(1n)]) {
        const { message } = failureOf(() => theirs(value));
        assert.equal(failureOf(() => prepareValues(['fine', value])).message, message);
      }
    });
  });

  test('values that are no array are refused', () => {
    for (const values of ['text', 5, {}, new Set([1])]) {
      assert.throws(() => prepareValues(values as never), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    assert.deepEqual(prepareValues([]), []);
    // A hole is undefined.
    assert.deepEqual(prepareValues(new Array(2)), [null, null]);
  });

  test('a Date that is none is refused before it is sent, as pg will, and not sent as text', () => {
    for (const value of [new Date(NaN), [new Date(NaN)], { toPostgres: () => new Date(NaN) }]) {
      assert.throws(() => prepareValue(value), { code: 'ERR_INVALID_ARG_VALUE', message: /invalid Date/ });
    }
  });

  test('an object whose value is NULL or bytes can stand in an array, where pg fails', () => {
    const none = { toPostgres: () => null };
    const unset = { toJSON: () => undefined };
    assert.equal(prepareValue([none, unset, { toPostgres: () => Buffer.from([1, 255]) }]), '{NULL,NULL,\\\\x01ff}');
  });

  test('bytes are sent as they are, those of shared memory as a copy', () => {
    const bytes = new Uint8Array([1, 2, 3]);
    assert.equal(prepareValue(bytes), bytes);
    assert.deepEqual(prepareValue(new DataView(bytes.buffer, 1, 2)), new Uint8Array([2, 3]));
    const shared = new Uint8Array(new SharedArrayBuffer(2));
    const prepared = prepareValue(shared) as Uint8Array;
    shared[0] = 9;
    assert.deepEqual([...prepared], [0, 0]);
    assert.ok(prepared.buffer instanceof ArrayBuffer);
  });
});

/** NULL is null and undefined, and bytes are of any class, to what sends them. */
function normalized(prepared: unknown): unknown {
  return ArrayBuffer.isView(prepared) ? Buffer.from(prepared as Uint8Array) : (prepared ?? null);
}

function failureOf(run: () => unknown): Error {
  try {
    run();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}
