// A file of tests of which one fails.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

describe('a suite', () => {
  test('fails', () => assert.fail('as it must'));
  test('passes', () => {});
});
