// The built addon behind the public face, for the tests of what users do not see.
import { join } from 'node:path';

import type * as Call from '../../lib/runtime/native-call';
import type * as Native from '../../lib/runtime/native';
import { dist } from './paths';

/** A module of lib/, compiled. */
export const load = <Module>(name: string): Module => require(join(dist, `${name}.js`)) as Module;

export const { native } = load<typeof Native>('runtime/native');
export const { call } = load<typeof Call>('runtime/native-call');
