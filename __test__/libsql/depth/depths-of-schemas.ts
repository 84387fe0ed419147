// What a schema makes deep, and what the engine inside does wrong.
import {
  joinBalanced,
  type Construct,
  joinEach,
  EXPRESSION_TOO_DEEP,
  nest,
  statement,
  statementWithSchema,
  TRIGGERS_TOO_DEEP,
} from './depth-construct';

export const schemas: Construct[] = [
  // What a schema makes deep.
  {
    name: 'recursive triggers',
    outcomes: [
      [990, 'answer'],
      [1500, TRIGGERS_TOO_DEEP],
    ],
    run: (db, depth) =>
      db.withConnection(async (held) => {
        await held.executeMultiple(`PRAGMA recursive_triggers = on; CREATE TABLE t (n);
          CREATE TRIGGER deeper AFTER INSERT ON t WHEN NEW.n < ${depth} BEGIN INSERT INTO t VALUES (NEW.n + 1); END;`);
        await held.execute('INSERT INTO t VALUES (0)').finally(() => held.execute('PRAGMA recursive_triggers = off'));
      }),
  },
  statementWithSchema(
    'triggers of other tables',
    [[500, 'answer']],
    (n) =>
      joinEach(n + 2, (i) => `CREATE TABLE t${i} (n);`) +
      joinEach(n + 1, (i) => `CREATE TRIGGER r${i} AFTER INSERT ON t${i} BEGIN INSERT INTO t${i + 1} VALUES (1); END;`),
    () => 'INSERT INTO t0 VALUES (1)',
  ),
  statementWithSchema(
    'foreign keys of one table',
    [
      [990, 'answer'],
      [2000, TRIGGERS_TOO_DEEP],
    ],
    (n) => `CREATE TABLE t (id INTEGER PRIMARY KEY, up REFERENCES t(id) ON DELETE CASCADE); CREATE INDEX i ON t(up);
      WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${n})
        INSERT INTO t SELECT i, nullif(i - 1, 0) FROM c;`,
    () => 'DELETE FROM t WHERE id = 1',
  ),
  statementWithSchema(
    'foreign keys of other tables',
    [[500, 'answer']],
    (n) =>
      `CREATE TABLE t0 (id INTEGER PRIMARY KEY); INSERT INTO t0 VALUES (1);${joinEach(n, (i) => `CREATE TABLE t${i + 1} (id INTEGER PRIMARY KEY REFERENCES t${i}(id) ON DELETE CASCADE);`)}`,
    () => 'DELETE FROM t0',
  ),
  statementWithSchema(
    'generated columns of generated columns',
    [[1000, 'answer']],
    (n) =>
      `CREATE TABLE t (c0, ${joinEach(n, (i) => `c${i + 1} AS (c${i} + 1)`, ', ')}); INSERT INTO t (c0) VALUES (1)`,
    (n) => `SELECT c${n} FROM t`,
  ),
  statementWithSchema(
    'generated columns of deep expressions',
    [[20, 'answer']],
    (n) =>
      `CREATE TABLE t (c0, ${joinEach(n, (i) => `c${i + 1} AS (${nest('abs(', 900, `c${i}`, ')')})`, ', ')}); INSERT INTO t (c0) VALUES (1)`,
    (n) => `SELECT c${n} FROM t`,
  ),
  ...(
    [
      ['CHECK', (deep) => `CREATE TABLE t (a CHECK (${deep}))`, () => 'INSERT INTO t VALUES (1)'],
      [
        'DEFAULT',
        (deep) => `CREATE TABLE t (a DEFAULT (${deep.replace('a)', '1)')}))`,
        () => 'INSERT INTO t DEFAULT VALUES',
      ],
      ['an index', (deep) => `CREATE TABLE t (a); CREATE INDEX i ON t (${deep})`, () => 'INSERT INTO t VALUES (1)'],
      [
        'a trigger',
        (deep) =>
          `CREATE TABLE t (a); CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT ${deep.replace('a)', 'NEW.a)')}; END`,
        () => 'INSERT INTO t VALUES (1)',
      ],
      ['RETURNING', () => 'CREATE TABLE t (a)', (deep) => `INSERT INTO t VALUES (1) RETURNING ${deep} AS v`],
      [
        'a view whose column is renamed',
        (deep) => `CREATE TABLE t (a); CREATE VIEW v AS SELECT ${deep} FROM t`,
        () => 'ALTER TABLE t RENAME COLUMN a TO b',
      ],
    ] as [string, (deep: string) => string, (deep: string) => string][]
  ).map(([name, setUp, sql]) => {
    const deep = (n: number) => nest('abs(', n, 'a', ')');
    const sizes: Construct['outcomes'] = [
      [900, 'answer'],
      [1100, EXPRESSION_TOO_DEEP],
    ];
    return statementWithSchema(
      `a deep expression of ${name}`,
      sizes,
      (n) => setUp(deep(n)),
      (n) => sql(deep(n)),
    );
  }),
  {
    name: 'ATTACH',
    outcomes: [
      [10, 'answer'],
      [12, /too many attached databases/],
    ],
    run: (db, depth) =>
      db.withConnection(async (held) => {
        let attached = 0;
        try {
          for (; attached < depth; attached++) await held.execute(`ATTACH ':memory:' AS at${attached}`);
        } finally {
          while (attached > 0) await held.execute(`DETACH at${--attached}`);
        }
      }),
  },

  // What the engine inside does wrong.
  {
    name: 'terms of GROUP BY beyond what 16 bits count',
    outcomes: [[33_000, 'answer']],
    async run(db, depth) {
      const tables = Math.ceil(depth / 2000);
      const name = (index: number) => `c${Math.floor(index / 2000)}_${index % 2000}`;
      for (let table = 0; table < tables; table++) {
        const columns = joinEach(2000, (i) => `${name(table * 2000 + i)} DEFAULT 1`, ', ');
        await db.executeMultiple(`CREATE TABLE t${table} (${columns}); INSERT INTO t${table} DEFAULT VALUES`);
      }
      const sum = joinBalanced(
        Array.from({ length: depth }, (_, i) => name(i)),
        '+',
      );
      const from = joinEach(tables, (i) => `t${i}`, ', ');
      const { rows } = await db.execute(`SELECT ${sum} AS v FROM ${from} GROUP BY c0_0 + 1`);
      if (rows[0]!['v'] !== depth) throw new Error(`the sum of ${depth} ones was ${rows[0]!['v']}`);
    },
  },
  statement(
    'concat_ws',
    [[1, /not authorized to use function: concat_ws/]],
    () => "SELECT length(concat_ws(CAST(zeroblob(858993460) AS TEXT), 'a', 'b', 'c', 'd', 'e', 'f'))",
  ),
  statementWithSchema(
    'concat_ws of a view',
    [[1, /not authorized to use function: CONCAT_WS/i]],
    () => "CREATE VIEW v AS SELECT CONCAT_WS('-', 'a', 'b') AS a",
    () => 'SELECT a FROM v',
  ),
];
