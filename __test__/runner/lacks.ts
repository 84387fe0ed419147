// A file of tests of which some need what this machine cannot have.
import { test } from 'node:test';

import { missing } from '../support/missing';

test('asks for a server', { skip: missing('a server:\nnobody has it') }, () => {});
test('asks for nothing', () => {});
