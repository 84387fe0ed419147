import { invalidValue } from '../runtime/argument-error';
import { arrays, builtins } from '../postgres/types/oids';
import { types } from '../postgres/types/sets';

/** What stands for options that are neither given nor in the environment. A program may change it before it connects. */
export interface Defaults {
  host?: string | undefined;
  port?: number | undefined;
  user?: string | undefined;
  password?: string | undefined;
  database?: string | undefined;
  ssl?: boolean | undefined;
  max?: number | undefined;
  idleTimeoutMillis?: number | undefined;
  options?: string | undefined;
  application_name?: string | undefined;
  statement_timeout?: number | false | undefined;
  query_timeout?: number | false | undefined;
  lock_timeout?: number | false | undefined;
  idle_in_transaction_session_timeout?: number | false | undefined;
  /** Whether int8 is read as a number. */
  parseInt8?: boolean;
  /** Refused: a `Date` is sent in local time with its offset, which is the same moment. */
  parseInputDatesAsUTC?: boolean;
}

const SCALAR = types.getTypeParser(builtins.INT8);
const ARRAY = types.getTypeParser(arrays.INT8);
let readsInt8 = false;

export const defaults: Defaults = {
  host: 'localhost',
  port: 5432,
  ssl: false,
  max: 10,
  idleTimeoutMillis: 10_000,
  get parseInt8() {
    return readsInt8;
  },
  set parseInt8(reads) {
    readsInt8 = Boolean(reads);
    types.setTypeParser(builtins.INT8, readsInt8 ? types.getTypeParser(builtins.INT4) : SCALAR);
    types.setTypeParser(arrays.INT8, readsInt8 ? types.getTypeParser(arrays.INT4) : ARRAY);
  },
  get parseInputDatesAsUTC() {
    return false;
  },
  set parseInputDatesAsUTC(asUtc) {
    if (asUtc) throw invalidValue('defaults.parseInputDatesAsUTC is not supported: pass a text instead of a Date');
  },
};
