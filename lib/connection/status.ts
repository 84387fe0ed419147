import type { ResolvedConnectionConfig } from './config/config';
import type { ConnectionHealth, ConnectionMetrics, ConnectionState, ConnectionType } from './model';

/** A snapshot of a connection. Times are in milliseconds since the epoch. */
export interface ConnectionStatus {
  connectionId: string;
  name: string;
  connectionType: ConnectionType;
  state: ConnectionState;
  health: ConnectionHealth;
  config: ResolvedConnectionConfig;
  metrics: ConnectionMetrics;
  lastHealthCheck?: number;
  /** The message of the last error. */
  lastError?: string;
  errorCount: number;
  /** Errors since the last success. */
  consecutiveErrors: number;
  createdAt: number;
  updatedAt: number;
  isActive: boolean;
  isSecure: boolean;
  isAuthenticated: boolean;
}
