import type { ConnectionConfig } from '../config/config';
import { HTTPConnection } from '../http';
import { ConnectionPool, type PoolConfig } from './pool';
import { SSEConnection } from '../sse';
import { WebSocketConnection } from '../websocket';

/** A pool of open WebSockets to one server. */
export class WebSocketConnectionPool extends ConnectionPool<WebSocketConnection> {
  /**
   * @param connectionConfig of each of them; `maxConnections` is how many there may be where `config` has no `maxSize`.
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig) {
    super(config, (given) => new WebSocketConnection(given), connectionConfig);
  }
}

/**
 * A pool of {@link HTTPConnection}s, each with a breaker, a rate limit and sockets of its own. One connection serves many
 * requests at once already: this is for those who want to keep them apart.
 */
export class HTTPConnectionPool extends ConnectionPool<HTTPConnection> {
  /** As {@link WebSocketConnectionPool}. */
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig) {
    super(config, (given) => new HTTPConnection(given), connectionConfig);
  }
}

/** A pool of open event streams from one server. */
export class SSEConnectionPool extends ConnectionPool<SSEConnection> {
  /** As {@link WebSocketConnectionPool}. */
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig) {
    super(config, (given) => new SSEConnection(given), connectionConfig);
  }
}
