// Failures that lib/ finds itself have the code, delivery and retryability that the addon gives to their kind.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type * as Errors from '../../lib/runtime/error';
import { load, native } from '../support/native';

const { ERROR_KINDS, failure, failureFields } = load<typeof Errors>('runtime/error');

describe('a failure of lib/', () => {
  const where = { service: 's', operation: 'o' };

  test('is of a kind that the addon knows, and every kind is one of lib/', () => {
    assert.deepEqual(Object.keys(JSON.parse(native.failureDefaults())).sort(), [...ERROR_KINDS].sort());
  });

  test('has the defaults of its kind, and what is said of it', () => {
    assert.deepEqual(failureFields('closed', where), {
      kind: 'closed',
      code: 'ERR_MOORLINE_CLOSED',
      delivery: 'none',
      retryable: false,
      attempts: 1,
      ...where,
    });
    const cause = new Error('below');
    const error = failure('protocol', 'm', { ...where, delivery: 'answered', detail: { status: 200 } }, cause);
    const { message, code, delivery, retryable, detail } = error;
    assert.deepEqual(
      [message, code, delivery, retryable, detail, error.cause],
      ['m', 'ERR_MOORLINE_PROTOCOL', 'answered', false, { status: 200 }, cause],
    );
    assert.ok(!('cause' in failure('closed', 'm', where)));
  });

  test('is retryable where a repeat does no harm and the reason may pass', () => {
    for (const [kind, isRetryable] of [
      ['timeout', true],
      ['disconnected', true],
      ['overloaded', true],
      ['protocol', false],
      ['closed', false],
    ] as const) {
      assert.equal(failureFields(kind, { ...where, idempotent: true }).retryable, isRetryable, kind);
    }
    assert.equal(failureFields('timeout', where).retryable, false);
  });
});
