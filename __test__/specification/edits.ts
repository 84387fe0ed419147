// The edits that make the documents' code blocks run against something real. Each names its reason, and there
// are no other reasons: a block that needed one would show a defect of our API.

/** Why a block may be edited. */
export type Reason =
  | 'import specifier'
  | 'host, port, path or secret'
  | 'placeholder or empty body'
  | 'own scope for a repeated const'
  | 'lines of a file in a block of code'
  | 'narrowed event, connection or error'
  | 'a class around members of one';

/** Replaces the one occurrence of a text. */
export interface Replacement {
  reason: Reason;
  from: string;
  to: string;
}

/** How one block becomes a module. */
export interface BlockEdits {
  replace: Replacement[];
  /** Declarations of the block's free names, between its imports and its code. */
  prelude?: string;
  /**
   * The block's code becomes the body of this function: for a top-level `return`, and for a `const` that the
   * block declares twice.
   */
  scope?: string;
  /** The block's code becomes the members of this class, for a block that shows members of one. */
  memberOf?: string;
  /** The names a test looks at; exported after the block's code, or returned from its scope. */
  exposes: string[];
}

/** Where the blocks of a document find their servers and files. */
export interface Places {
  /** A database that has the table `metrics`. */
  databaseUrl: string;
  /** A server that speaks the forecasting service's protocol. */
  nixtlaUrl: string;
}

const ourPackage: Replacement = { reason: 'import specifier', from: "'./connections'", to: "'moorline'" };

/** Document 0, its TypeScript blocks by number. */
export function document0({ databaseUrl, nixtlaUrl }: Places): Record<number, BlockEdits> {
  const baseUrl = `baseUrl: '${nixtlaUrl}'`;
  return {
    1: {
      replace: [
        ourPackage,
        { reason: 'host, port, path or secret', from: 'libsql://your-database.turso.io', to: databaseUrl },
      ],
      exposes: ['pool', 'client', 'healthy'],
    },
    2: {
      replace: [
        ourPackage,
        {
          reason: 'host, port, path or secret',
          from: 'apiKey: process.env.NIXTLA_API_KEY,',
          to: `apiKey: process.env.NIXTLA_API_KEY, ${baseUrl},`,
        },
      ],
      exposes: ['client', 'result', 'state', 'healthy'],
    },
    3: {
      replace: [ourPackage],
      prelude: `
        import type { IncomingHttpHeaders } from 'node:http';
        const payload = '{"event":"paid"}';
        const secret = 'test-secret';
        interface Response { status(code: number): Response; json(body: unknown): unknown }`,
      scope: 'handle(request: { headers: IncomingHttpHeaders }, requestBody: string, res: Response)',
      exposes: ['result', 'signature', 'isValid'],
    },
    4: {
      replace: [ourPackage],
      prelude: `
        import { NixtlaClient, TursoPool } from 'moorline';
        const pool = new TursoPool({ url: ':memory:' });
        const nixtlaClient = new NixtlaClient({ apiKey: process.env.NIXTLA_API_KEY, ${baseUrl} });
        const redis = { ping: async () => 'PONG' };`,
      exposes: ['monitor', 'report', 'dbHealth', 'stats', 'pool'],
    },
    5: {
      replace: [ourPackage],
      prelude: `
        const orgId = 'org-1';
        // The shared instances, so that the block's own calls find them pointed here.
        getTursoPool({ url: '${databaseUrl}' });
        getNixtlaClient({ apiKey: process.env.NIXTLA_API_KEY, ${baseUrl} });`,
      exposes: ['pool', 'monitor', 'metrics', 'forecast'],
    },
  };
}

/** Where the blocks of document 1 find their servers. */
export interface ConnectionPlaces {
  httpUrl: string;
  webSocketUrl: string;
  sseUrl: string;
}

/** Document 1, its TypeScript blocks by number. */
export function document1({ httpUrl, webSocketUrl, sseUrl }: ConnectionPlaces): Record<number, BlockEdits> {
  const specifier: Replacement = { reason: 'import specifier', from: '"reynard-connection"', to: '"moorline"' };
  const place = (from: string, to: string): Replacement => ({ reason: 'host, port, path or secret', from, to });
  /** The free name `connection`, or what it stands for. */
  const http = `
    import { HTTPConnection as Http } from 'moorline';
    const connection = new Http({ url: '${httpUrl}', monitoring: false, retryDelay: 1 });`;
  const pools = `
    const poolConfig = { maxSize: 2, minSize: 0, maxIdleTime: 60, acquireTimeout: 5 };
    const wsConfig = { url: '${webSocketUrl}' };`;
  const data = `const data = { type: 'data', payload: 'test' };`;
  return {
    2: {
      replace: [specifier, place('https://api.example.com', httpUrl)],
      exposes: ['configManager', 'httpConn', 'response'],
    },
    3: {
      replace: [specifier, place('wss://api.example.com/ws', webSocketUrl)],
      exposes: ['wsConn', 'manager', 'message'],
    },
    4: {
      replace: [specifier],
      prelude: `const wsConfig = { url: '${webSocketUrl}' };`,
      exposes: ['pool', 'conn'],
    },
    6: {
      replace: [specifier],
      prelude: `import { ConnectionType, SecurityLevel } from 'moorline';`,
      exposes: ['customConfig'],
    },
    7: {
      replace: [],
      prelude: `import { HTTPConnection } from 'moorline'; const config = { url: '${httpUrl}' };`,
      exposes: ['httpConn', 'response', 'health'],
    },
    8: {
      replace: [],
      prelude: `import { WebSocketConnection } from 'moorline'; const config = { url: '${webSocketUrl}' };`,
      exposes: ['wsConn', 'message', 'isConnected'],
    },
    9: {
      replace: [{ reason: 'narrowed event, connection or error', from: 'event.data', to: 'event?.data' }],
      prelude: `import { SSEConnection } from 'moorline'; const config = { url: '${sseUrl}' };`,
      exposes: ['sseConn', 'event'],
    },
    10: {
      replace: [specifier],
      prelude: `
        import { HTTPConnection, WebSocketConnection } from 'moorline';
        const httpConn = new HTTPConnection({ url: '${httpUrl}' });
        const wsConn = new WebSocketConnection({ url: '${webSocketUrl}' });`,
      exposes: ['manager', 'stats', 'httpConn', 'wsConn'],
    },
    11: {
      replace: [specifier],
      prelude: `import { WebSocketConnection } from 'moorline';${pools}${data}`,
      exposes: ['pool', 'wsPool', 'conn'],
    },
    12: { replace: [specifier, place('"/api/data"', `"${httpUrl}/flaky"`)], exposes: ['retry', 'result'] },
    13: { replace: [specifier], prelude: failingOnce('riskyOperation'), exposes: ['retry', 'result', 'attempts'] },
    14: {
      replace: [specifier],
      prelude: failingOnce('distributedOperation'),
      exposes: ['retry', 'result', 'attempts'],
    },
    15: {
      replace: [
        {
          reason: 'own scope for a repeated const',
          from: 'const health = await connection.healthCheck(10000);',
          to: '{ const health = await connection.healthCheck(10000); checks.push(health); }',
        },
      ],
      prelude: `${http} const checks: unknown[] = [];`,
      exposes: ['health', 'checks'],
    },
    16: {
      replace: [],
      prelude: `import { ConnectionHealth } from 'moorline';${http}`,
      exposes: ['connection'],
    },
    17: {
      replace: [specifier],
      prelude: `const baseConfig = { url: '${httpUrl}', customSecurityOptions: { allowedHosts: ['127.0.0.1'] } };`,
      exposes: ['config', 'security', 'headers'],
    },
    18: {
      replace: [],
      prelude: `import { ConnectionSecurity } from 'moorline'; const security = new ConnectionSecurity();`,
      exposes: ['authHeaders', 'apiHeaders', 'customHeaders'],
    },
    19: {
      replace: [],
      prelude: `import { ConnectionManager } from 'moorline';${http} const manager = new ConnectionManager();`,
      exposes: ['metrics', 'stats'],
    },
    20: {
      replace: [],
      prelude: `
        import { ConnectionManager } from 'moorline';${http}
        const manager = new ConnectionManager();
        manager.addConnection(connection);`,
      exposes: ['connection'],
    },
    21: {
      replace: [],
      prelude: `${http} const refreshed: unknown[] = []; const refreshAuthToken = () => refreshed.push(1);`,
      exposes: ['connection', 'refreshed'],
    },
    22: {
      replace: [],
      prelude: `
        import { HTTPConnection as Http } from 'moorline';
        const limits = { circuitBreakerThreshold: 1, circuitBreakerTimeout: 20, retryCount: 0, monitoring: false };
        const connection = new Http({ url: '${httpUrl}', ...limits });`,
      exposes: ['connection'],
    },
    23: { replace: [], prelude: http, exposes: ['connection'] },
    24: {
      replace: [],
      prelude: `
        import { WebSocketConnection } from 'moorline';
        const connection = new WebSocketConnection({ url: '${webSocketUrl}', autoReconnect: false });
        const switched: unknown[] = [];
        const switchToBackupConnection = () => switched.push(1);`,
      exposes: ['connection', 'switched'],
    },
    25: { replace: [], prelude: http, exposes: ['connection'] },
    26: {
      replace: [
        {
          reason: 'narrowed event, connection or error',
          from: '  await conn.send(data);',
          to: '  if (conn) await conn.send(data);',
        },
        {
          reason: 'narrowed event, connection or error',
          from: '  await pool.release(conn);',
          to: '  if (conn) await pool.release(conn);',
        },
      ],
      prelude: `import { WebSocketConnectionPool } from 'moorline';${pools}${data}`,
      exposes: ['pool', 'conn'],
    },
    27: {
      replace: [],
      prelude: `
        import { HTTPConnection } from 'moorline';
        const baseConfig = { url: '${httpUrl}', monitoring: false };
        const connection = new HTTPConnection(baseConfig);`,
      exposes: ['connection', 'config'],
    },
  };
}

/** A function of that name, which fails at its first call. */
function failingOnce(name: string): string {
  return `
    let attempts = 0;
    async function ${name}() {
      if ((attempts += 1) === 1) throw new Error('not yet');
      return 'done';
    }`;
}

/** Where the blocks of document 3 find their servers. */
export interface ManagerPlaces {
  sshPort: number;
  username: string;
  localPort: number;
  /** How the database is reached: its host and port as the SSH server sees them. */
  database: { host: string; port: number; user: string; password: string };
}

/** Document 3, its TypeScript blocks by number; `environmentLines` are those of `.env.local`. */
export function document3(
  { sshPort, username, localPort, database }: ManagerPlaces,
  environmentLines: string,
): Record<number, BlockEdits> {
  const place = (from: string, to: string): Replacement => ({ reason: 'host, port, path or secret', from, to });
  const scoped = (line: string): Replacement => ({
    reason: 'own scope for a repeated const',
    from: `const tunnel = ${line};`,
    to: `{ const tunnel = ${line}; void tunnel; }`,
  });
  const ours = "import { PostgresConnectionManager, SSHTunnel } from 'moorline';";
  const printing = `
    const printed: unknown[] = [];
    const say = (...said: unknown[]) => void printed.push(said.join(" "));
    const console = { error: say, warn: say, log: say };`;
  const config = `
    const config = ${JSON.stringify(database)};`;
  return {
    1: {
      replace: [
        {
          reason: 'placeholder or empty body',
          from: 'private healthCheckInterval: NodeJS.Timeout;',
          to: 'private healthCheckInterval: NodeJS.Timeout = undefined!;',
        },
      ],
      prelude: `
        import { EventEmitter } from 'node:events';
        import type { Server } from 'node:net';
        import { type Counter, PostgresConnectionManager as OurManager, type PostgresPoolConfig, SSHTunnel as Ours } from 'moorline';
        import { Pool, type PoolConfig as PgPoolConfig } from 'moorline/pg';
        type PoolConfig = PgPoolConfig & PostgresPoolConfig;
        type Client = object;
        type ClientChannel = object;
        type ConnectionManager = object;
        declare const metrics: { healthCheckFailures: Counter };
        const managers: new (...given: ConstructorParameters<typeof PostgresConnectionManager>) => object = OurManager;
        const config: TunnelConfig = { sshHost: 'a', sshPort: 22, sshUsername: 'b', sshKeyPath: 'c', remoteHost: 'd',
          remotePort: 1, localPort: 0, maxRetries: 1, retryDelay: 1, healthCheckInterval: 1 };
        type Members = EventEmitter & Pick<SSHTunnel, Exclude<keyof SSHTunnel, keyof EventEmitter>>;
        interface Statics {
          initializeInstance(...given: Parameters<typeof SSHTunnel.initializeInstance>): Members;
          getInstance(...given: Parameters<typeof SSHTunnel.getInstance>): Members;
          resetInstance(...given: Parameters<typeof SSHTunnel.resetInstance>): void;
        }
        const statics: Statics = Ours;
        const tunnel = new Ours(config);
        const members: Members = tunnel;`,
      exposes: ['tunnel', 'statics', 'members', 'managers'],
    },
    3: {
      replace: [],
      prelude: "import { postgresProfiles } from 'moorline'; const profiles: FeatureConfig = postgresProfiles;",
      exposes: ['profiles', 'required_env_vars'],
    },
    4: {
      replace: [
        place("sshHost: 'remote-host'", "sshHost: '127.0.0.1'"),
        place('sshPort: 22', `sshPort: ${sshPort}`),
        place("sshUsername: 'user'", `sshUsername: '${username}'`),
        place('remotePort: 5432', `remotePort: ${database.port}`),
        place('localPort: 5432', `localPort: ${localPort}`),
        place('\n  port: 5432', `\n  port: ${database.port}`),
        place("user: 'postgres'", `user: '${database.user}'`),
        place("password: 'password'", `password: '${database.password}'`),
        scoped('SSHTunnel.initializeFromEnv()'),
        scoped('SSHTunnel.getInstance()'),
        { reason: 'lines of a file in a block of code', from: environmentLines, to: '' },
      ],
      prelude: ours + printing,
      exposes: ['tunnel', 'manager', 'printed'],
    },
    5: { replace: [], prelude: ours + config, exposes: ['tunnel', 'manager'] },
    6: { replace: [], prelude: "import { Pool } from 'moorline/pg';", exposes: ['pool', 'client'] },
    7: {
      replace: [],
      prelude: `${ours}${printing}${config}
        const manager = new PostgresConnectionManager({ ...config, tunnel: false, healthCheckIntervalMs: 50 });`,
      exposes: ['manager', 'printed'],
    },
    8: {
      replace: [],
      prelude: `${ours}${config}
        const tunnel = SSHTunnel.getInstance();
        const manager = new PostgresConnectionManager(config);
        await manager.query('SELECT 1');
        const cleanup = async () => {};`,
      exposes: ['manager'],
    },
    9: {
      replace: [
        { reason: 'narrowed event, connection or error', from: 'error: Error', to: 'error: NodeJS.ErrnoException' },
      ],
      prelude: `import { SSHTunnel } from 'moorline';${printing}
        const tunnel = SSHTunnel.initializeFromEnv();`,
      exposes: ['tunnel', 'printed'],
    },
    10: {
      replace: [
        {
          reason: 'narrowed event, connection or error',
          from: '} catch (error) {',
          to: '} catch (caught) { const error = caught as NodeJS.ErrnoException;',
        },
      ],
      prelude: `import { Pool, type PoolClient } from 'moorline/pg';${printing}`,
      scope: 'run(pool: Pool)',
      exposes: ['printed'],
    },
    11: {
      replace: [],
      prelude: ours + printing,
      memberOf: 'Recovering extends PostgresConnectionManager',
      exposes: ['Recovering', 'printed'],
    },
    12: {
      replace: [{ reason: 'a class around members of one', from: 'async function cleanup()', to: 'async cleanup()' }],
      prelude: ours + printing,
      memberOf: 'Cleaning extends PostgresConnectionManager',
      exposes: ['Cleaning', 'printed'],
    },
    13: {
      replace: [],
      prelude: `
        const titles: string[] = [];
        const describe = (_: string, body: () => void) => body();
        const test = (title: string, body: () => Promise<void>) => void titles.push(typeof body === 'function' ? title : '');`,
      exposes: ['titles'],
    },
    14: {
      replace: [],
      prelude: `
        import type { PostgresLogRecord } from 'moorline';
        const toFormat = (record: PostgresLogRecord): LogFormat => record;`,
      exposes: ['toFormat'],
    },
    15: {
      replace: [],
      prelude: `
        import type { Counter, Gauge, Histogram, PostgresConnectionManager } from 'moorline';
        const metricsOf = (manager: PostgresConnectionManager): Metrics => ({ performance: manager.metrics });`,
      exposes: ['metricsOf'],
    },
  };
}
