// The edits that make the documents' code blocks run against something real. Each names its reason, and there
// are no other reasons: a block that needed one would show a defect of our API.

/** Why a block may be edited. */
export type Reason =
  | 'import specifier'
  | 'host, port, path or secret'
  | 'placeholder or empty body'
  | 'own scope for a repeated const'
  | 'lines of a file in a block of code'
  | 'narrowed event, connection or error';

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

/** Where the blocks of document 3 find the SSH server. */
export interface TunnelPlaces {
  sshPort: number;
  username: string;
  localPort: number;
}

/** Document 3, its blocks about the tunnel by number; `environmentLines` are those of `.env.local`. */
export function document3(
  { sshPort, username, localPort }: TunnelPlaces,
  environmentLines: string,
): Record<number, BlockEdits> {
  const place = (from: string, to: string): Replacement => ({ reason: 'host, port, path or secret', from, to });
  const scoped = (line: string): Replacement => ({
    reason: 'own scope for a repeated const',
    from: `const tunnel = ${line};`,
    to: `{ const tunnel = ${line}; void tunnel; }`,
  });
  const ours = "import { SSHTunnel } from 'moorline';";
  const printing = `
    const printed: unknown[] = [];
    const console = { error: (...said: unknown[]) => void printed.push(said.join(" ")) };`;
  // The manager of pools is not made yet: it has no part in what is tested here.
  const manager = `
    class PostgresConnectionManager { constructor(_: object) {} async shutdown(): Promise<void> {} }
    const config = {};`;
  return {
    1: {
      replace: [],
      prelude: `
        import { EventEmitter } from 'node:events';
        import type { Server } from 'node:net';
        import { SSHTunnel as Ours } from 'moorline';
        type Client = object;
        type ClientChannel = object;
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
      exposes: ['tunnel', 'statics', 'members'],
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
        place('localPort: 5432', `localPort: ${localPort}`),
        scoped('SSHTunnel.initializeFromEnv()'),
        scoped('SSHTunnel.getInstance()'),
        { reason: 'lines of a file in a block of code', from: environmentLines, to: '' },
      ],
      prelude: ours + manager + printing,
      exposes: ['tunnel', 'printed'],
    },
    5: { replace: [], prelude: ours + manager, exposes: ['tunnel'] },
    8: {
      replace: [],
      prelude: `${ours}${manager}
        const manager = new PostgresConnectionManager(config);
        const tunnel = SSHTunnel.getInstance();
        const cleanup = async () => {};`,
      exposes: [],
    },
    9: {
      replace: [
        { reason: 'narrowed event, connection or error', from: 'error: Error', to: 'error: NodeJS.ErrnoException' },
      ],
      prelude: `${ours}${printing}
        const tunnel = SSHTunnel.initializeFromEnv();`,
      exposes: ['tunnel', 'printed'],
    },
  };
}
