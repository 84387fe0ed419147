export { Client, Client as ClientBase, type ClientEvents, type NoticeMessage, type Notification } from '../pg/client';
export { defaults, type Defaults } from '../pg/defaults';
export { DatabaseError } from '../pg/error';
export { escapeIdentifier, escapeLiteral } from '../pg/escape';
export type { ClientConfig, CustomTypesConfig, Tunnel } from '../pg/options';
export { Pool, type PoolEvents } from '../pg/pool';
export type { PoolConfig } from '../pg/pool-options';
export { PoolClient } from '../pg/pool-client';
export type {
  FieldDef,
  QueryArrayConfig,
  QueryArrayResult,
  QueryConfig,
  QueryConfigValues,
  QueryResult,
  QueryResultBase,
  QueryResultRow,
} from '../pg/query';
export { TypeOverrides, types } from '../pg/parsers';

// The default import of Node.js is the whole module. Compilers and bundlers take this property instead, where a module
// was made of an ES module; no typing names it, as what they derive is the whole module, too.
Object.defineProperty(module.exports, 'default', { value: module.exports });
