import { native } from '../runtime/native';

/** The sizes and times of a Postgres pool and its tunnel, in milliseconds. */
export interface PostgresProfiles {
  readonly development: {
    readonly maxConnections: 20;
    readonly idleTimeout: 30000;
    readonly connectionTimeout: 2000;
    readonly healthCheckInterval: 60000;
    readonly sshTunnel: { readonly maxPoolSize: 10; readonly maxRetries: 3; readonly retryDelay: 1000 };
  };
  readonly production: {
    readonly maxConnections: 100;
    readonly idleTimeout: 30000;
    readonly connectionTimeout: 3000;
    readonly healthCheckInterval: 30000;
    readonly sshTunnel: { readonly maxPoolSize: 20; readonly maxRetries: 5; readonly retryDelay: 2000 };
  };
}

/**
 * The two profiles: the defaults of an {@link SSHTunnel} are those of its `sshTunnel` in the profile of the deployment, or in the one
 * that its option `profile` names.
 */
export const postgresProfiles: PostgresProfiles = JSON.parse(native.sshProfiles(), (_, value: unknown) =>
  Object.freeze(value),
) as PostgresProfiles;
