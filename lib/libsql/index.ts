export { LibsqlBatchError, LibsqlError } from './error';
export { PooledClient } from './pooled-client';
export type { BatchStatement, QueryOptions, TransactionMode } from './statements';
export type { Transaction } from './transaction';
export type { InArgs, InStatement, IntMode, InValue, ResultSet, Row, Value } from './result-set';
export { getTursoPool, resetTursoPool, TursoPool } from './pool';
export type { TursoPoolConfig, TursoPoolStats } from './pool';
