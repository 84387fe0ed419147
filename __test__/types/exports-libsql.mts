// Every public name of moorline/libsql in one file; see exports.mts.
export { createClient, LibsqlBatchError, LibsqlError } from 'moorline/libsql';
export type {
  BatchStatement,
  Client,
  Config,
  InArgs,
  InStatement,
  IntMode,
  InValue,
  QueryOptions,
  Replicated,
  ResultSet,
  Row,
  Transaction,
  TransactionMode,
  Value,
} from 'moorline/libsql';
