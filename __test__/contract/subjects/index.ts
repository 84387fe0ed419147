// Every service that the contract, the leak and the exit tests apply to.
import type { Subject } from '../contract';
import { client } from './client';
import { httpConnection, sseConnection, webSocketConnection } from './connections';
import { healthMonitor } from './health-monitor';
import { nixtlaClient } from './nixtla-client';
import { policy } from './policy';
import { remoteTursoPool, tursoPool } from './turso-pool';

export const subjects: Subject[] = [
  tursoPool,
  remoteTursoPool,
  client,
  nixtlaClient,
  policy,
  healthMonitor,
  httpConnection,
  webSocketConnection,
  sseConnection,
];
