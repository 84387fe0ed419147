// The edits that make the documents' code blocks run against something real. Each names its reason, and there
// are no other reasons: a block that needed one would show a defect of our API.

/** Why a block may be edited. */
export type Reason =
  | 'import specifier'
  | 'host, port, path or secret'
  | 'placeholder or empty body'
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
  /** What gives the block's free names a meaning; it stands between the block's imports and its code. */
  prelude?: string;
  /**
   * The block's code becomes the body of this function: for a top-level `return`, and for a `const` that the
   * block declares twice.
   */
  scope?: string;
  /** The names a test looks at; exported after the block's code, or returned from its scope. */
  exposes: string[];
}

/** Where the blocks of a seed find their servers and files. */
export interface Places {
  /** A database that has the table `metrics`. */
  databaseUrl: string;
  /** A server that speaks the forecasting service's protocol. */
  nixtlaUrl: string;
}

const ourPackage: Replacement = { reason: 'import specifier', from: "'./connections'", to: "'moorline'" };

/** Seed 0, its TypeScript blocks by number. */
export function seed0({ databaseUrl, nixtlaUrl }: Places): Record<number, BlockEdits> {
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
