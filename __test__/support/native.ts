// The built addon behind the public face, for the tests of the bridge itself.
import { join } from 'node:path';

import type * as Call from '../../lib/call';
import type * as Native from '../../lib/native';

const dist = join(__dirname, '..', '..', 'dist');

export const { native } = require(join(dist, 'native.js')) as typeof Native;
export const { call } = require(join(dist, 'call.js')) as typeof Call;
