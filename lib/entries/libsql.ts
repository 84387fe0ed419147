export { createClient } from '../libsql/client';
export type { Client, Config, Replicated } from '../libsql/client';
export { LibsqlBatchError, LibsqlError } from '../libsql/error';
export type { InArgs, InStatement, IntMode, InValue, ResultSet, Row, Value } from '../libsql/result-set';
export type { BatchStatement, QueryOptions, TransactionMode } from '../libsql/statements';
export type { Transaction } from '../libsql/transaction';

// The default import of Node.js is the whole module. Compilers and bundlers take this property instead, where a module
// was made of an ES module; no typing names it, as what they derive is the whole module, too.
Object.defineProperty(module.exports, 'default', { value: module.exports });
