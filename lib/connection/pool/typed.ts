import type { ConnectionConfig } from '../config/config';
import { HTTPConnection } from '../http';
import { ConnectionPool, type PoolConfig } from './pool';
import { SSEConnection } from '../sse';
import { WebSocketConnection } from '../websocket';

/**
 * A pool of open WebSocket connections to one server.
 *
 * @example
 * ```ts
 * import { WebSocketConnectionPool } from 'moorline';
 *
 * const pool = new WebSocketConnectionPool({ maxSize: 2 }, { url: 'wss://api.example.com' });
 * console.log(await pool.use((socket) => socket.send({ hello: 'world' }))); // true
 * await pool.stop();
 * ```
 */
export class WebSocketConnectionPool extends ConnectionPool<WebSocketConnection> {
  /**
   * @param connectionConfig options of each connection; `maxConnections` is the default of `maxSize`.
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig) {
    super(config, (given) => new WebSocketConnection(given), connectionConfig);
  }
}

/**
 * A pool of {@link HTTPConnection}s, each with its own circuit breaker, rate limit and sockets. One connection already
 * serves many requests at once: use a pool only to separate them.
 *
 * @example
 * ```ts
 * import { HTTPConnectionPool } from 'moorline';
 *
 * const pool = new HTTPConnectionPool({ maxSize: 2 }, { url: 'https://api.example.com' });
 * const response = await pool.use((service) => service.request({ url: '/orders' }));
 * console.log(response.status); // 200
 * await pool.stop();
 * ```
 */
export class HTTPConnectionPool extends ConnectionPool<HTTPConnection> {
  /** Takes the same arguments as {@link WebSocketConnectionPool}. */
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig) {
    super(config, (given) => new HTTPConnection(given), connectionConfig);
  }
}

/**
 * A pool of open event streams from one server.
 *
 * @example
 * ```ts
 * import { SSEConnectionPool } from 'moorline';
 *
 * const pool = new SSEConnectionPool({ maxSize: 2 }, { url: 'https://api.example.com/events' });
 * console.log((await pool.use((stream) => stream.receive()))?.data); // {"id":7,"name":"Ada"}
 * await pool.stop();
 * ```
 */
export class SSEConnectionPool extends ConnectionPool<SSEConnection> {
  /** Takes the same arguments as {@link WebSocketConnectionPool}. */
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig) {
    super(config, (given) => new SSEConnection(given), connectionConfig);
  }
}
