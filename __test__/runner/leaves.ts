// A file of tests whose process ends in the middle.
import { test } from 'node:test';

test('leaves', () => process.exit(0));
