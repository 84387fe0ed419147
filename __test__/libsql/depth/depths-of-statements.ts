// Statements on which the engine recurses deeply: nested expressions and selects.
import {
  joinBalanced,
  type Construct,
  joinEach,
  EXPRESSION_TOO_DEEP,
  nest,
  statement,
  statementWithSchema,
} from './depth-construct';

const expression = (name: string, sql: (depth: number) => string) =>
  statement(
    name,
    [
      [990, 'answer'],
      [1001, EXPRESSION_TOO_DEEP],
      [20_000, EXPRESSION_TOO_DEEP],
    ],
    sql,
  );
const selectExpression = (inner: string) => `SELECT ${inner} AS v FROM (SELECT 1 AS a)`;

export const statements: Construct[] = [
  // Expressions.
  statement('parentheses', [[100_000, 'answer']], (n) => `SELECT ${nest('(', n, '1', ')')} AS v`),
  statement(
    'parentheses of a table',
    [[20_000, 'answer']],
    (n) => `SELECT * FROM ${nest('(', n, 'sqlite_schema', ')')}`,
  ),
  expression('unary minus', (n) => selectExpression(nest('- ', n, 'a'))),
  expression('NOT', (n) => selectExpression(nest('NOT ', n, 'a'))),
  expression('bitwise not', (n) => selectExpression(nest('~', n, 'a'))),
  expression('function calls', (n) => selectExpression(nest('abs(', n, 'a', ')'))),
  expression('function calls of two arguments', (n) => selectExpression(nest('coalesce(', n, 'a', ', 2)'))),
  expression('CASE', (n) => selectExpression(nest('CASE WHEN 1 THEN ', n, 'a', ' END'))),
  expression('CAST', (n) => selectExpression(nest('CAST(', n, 'a', ' AS TEXT)'))),
  statement('COLLATE', [[20_000, 'answer']], (n) => selectExpression(`'a'${' COLLATE nocase'.repeat(n)}`)),
  expression('ISNULL', (n) => selectExpression(`a${' ISNULL'.repeat(n)}`)),
  statement(
    'BETWEEN',
    [
      [600, 'answer'],
      [2000, EXPRESSION_TOO_DEEP],
    ],
    (n) => selectExpression(`a${' BETWEEN 0 AND 2'.repeat(n)}`),
  ),
  expression('concatenation', (n) => selectExpression(`length('a'${"||'a'".repeat(n - 2)})`)),
  expression('addition', (n) => selectExpression(`a${'+1'.repeat(n)}`)),
  expression('AND', (n) => `SELECT 1 FROM (SELECT 1 AS a) WHERE a=1${' AND a=1'.repeat(n - 2)}`),
  expression('OR', (n) => `SELECT 1 FROM sqlite_schema WHERE rowid=1${' OR rowid=1'.repeat(n - 2)}`),
  statement(
    'OR of many terms',
    [[10_000, 'answer']],
    (n) =>
      `SELECT count(*) FROM sqlite_schema WHERE ${joinBalanced(joinEach(n, (i) => `rowid=${i} `).split(/ (?=r)/), 'OR')}`,
  ),
  expression('JSON operators', (n) => selectExpression(`'{}'${" -> 'a'".repeat(n)}`)),
  expression('json_array', (n) => selectExpression(nest('json_array(', n, 'a', ')'))),
  expression('ORDER BY an expression', (n) => `SELECT 1 AS a ORDER BY ${nest('abs(', n, 'a', ')')}`),
  statement(
    'IN lists',
    [
      [480, 'answer'],
      [900, EXPRESSION_TOO_DEEP],
    ],
    (n) => `SELECT ${nest('1 IN (', n, '1', ')')} AS v`,
  ),
  statement('row values', [[1000, 'answer']], (n) => `SELECT (1${',1'.repeat(n)}) = (1${',1'.repeat(n)}) AS v`),
  statement('nested row values', [[900, /row value misused/]], (n) => `SELECT ${nest('(1,', n, '1', ')')}`),
  statement(
    'arguments of a function',
    [
      [120, 'answer'],
      [5000, /too many arguments/],
    ],
    (n) => `SELECT max(1${',1'.repeat(n)}) AS v`,
  ),
  statement('printf widths', [[100_000, 'answer']], (n) => `SELECT length(printf('%${n}d%.${n}f', 1, 1.5)) AS v`),

  // Selects in selects.
  statement(
    'scalar subselects',
    [
      [30, 'answer'],
      [20_000, EXPRESSION_TOO_DEEP],
    ],
    (n) => `SELECT ${nest('(SELECT ', n, '1', ')')} AS v`,
  ),
  statement(
    'IN (SELECT …)',
    [
      [30, 'answer'],
      [20_000, EXPRESSION_TOO_DEEP],
    ],
    (n) => `SELECT 1 WHERE 1 IN ${nest('(SELECT 1 WHERE 1 IN ', n, '(1)', ')')}`,
  ),
  statement(
    'EXISTS',
    [
      [30, 'answer'],
      [20_000, EXPRESSION_TOO_DEEP],
    ],
    (n) => `SELECT 1 WHERE ${nest('EXISTS (SELECT 1 WHERE ', n, '1', ')')}`,
  ),
  statement('subselects of FROM', [[2000, 'answer']], (n) => nest('SELECT * FROM (', n, 'SELECT 1', ')')),
  statement(
    'EXPLAIN of subselects of FROM',
    [[1000, 'answer']],
    (n) => `EXPLAIN ${nest('SELECT * FROM (', n, 'SELECT 1', ')')}`,
  ),
  statement(
    'UNION ALL',
    [
      [499, 'answer'],
      [5000, /too many terms in compound SELECT/],
    ],
    (n) => `SELECT 1${' UNION ALL SELECT 1'.repeat(n)}`,
  ),
  statement('UNION', [[499, 'answer']], (n) => `SELECT 1 AS a${' UNION SELECT 1'.repeat(n)} ORDER BY a`),
  statement('EXCEPT', [[499, 'answer']], (n) => `SELECT 1${' EXCEPT SELECT 2'.repeat(n)}`),
  statement('VALUES', [[50_000, 'answer']], (n) => `SELECT count(*) FROM (VALUES (1)${',(1)'.repeat(n)})`),
  statementWithSchema(
    'INSERT of many VALUES',
    [[50_000, 'answer']],
    () => 'CREATE TABLE t (a)',
    (n) => `INSERT INTO t VALUES (1)${',(1)'.repeat(n)}`,
  ),
  statement(
    'CTEs after each other',
    [[2000, 'answer']],
    (n) => `WITH c0 AS (SELECT 1 AS a)${joinEach(n, (i) => `,c${i + 1} AS (SELECT a FROM c${i})`)} SELECT a FROM c${n}`,
  ),
  statement(
    'materialized CTEs after each other',
    [[3000, 'answer']],
    (n) =>
      `WITH c0 AS MATERIALIZED (SELECT 1 AS a)${joinEach(n, (i) => `,c${i + 1} AS MATERIALIZED (SELECT a FROM c${i})`)} SELECT a FROM c${n}`,
  ),
  statement('CTEs in CTEs', [[800, 'answer']], (n) => nest('WITH c AS (', n, 'SELECT 1 AS a', ') SELECT a FROM c')),
  statement(
    'recursive CTE',
    [[100_000, 'answer']],
    (n) => `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${n}) SELECT max(i) FROM c`,
  ),
  statementWithSchema(
    'views',
    [[900, 'answer']],
    (n) =>
      `CREATE VIEW v0 AS SELECT 1 AS a;${joinEach(n, (i) => `CREATE VIEW v${i + 1} AS SELECT a FROM v${i} LIMIT 1;`)}`,
    (n) => `SELECT a FROM v${n}`,
  ),
  statementWithSchema(
    'views of UNION ALL',
    [[450, 'answer']],
    (n) =>
      `CREATE VIEW v0 AS SELECT 1 AS a;${joinEach(n, (i) => `CREATE VIEW v${i + 1} AS SELECT a FROM v${i} UNION ALL SELECT ${i};`)}`,
    (n) => `SELECT count(*) FROM v${n}`,
  ),
  statement(
    'joins',
    [
      [63, 'answer'],
      [100, /at most 64 tables in a join/],
    ],
    (n) => `SELECT count(*) FROM (SELECT 1 AS a)${' NATURAL LEFT JOIN (SELECT 1 AS a)'.repeat(n)}`,
  ),
  statement(
    'columns',
    [
      [1990, 'answer'],
      [5000, /too many columns/],
    ],
    (n) => `SELECT 1${',1'.repeat(n)}`,
  ),
  statement(
    'ORDER BY terms',
    [
      [1990, 'answer'],
      [5000, /too many terms in ORDER BY/],
    ],
    (n) => `SELECT 1 AS a ORDER BY a${',a'.repeat(n)}`,
  ),
  statement(
    'GROUP BY terms',
    [
      [1990, 'answer'],
      [5000, /too many terms in GROUP BY/],
    ],
    (n) => `SELECT count(*) FROM (SELECT 1 AS a) GROUP BY a${',a'.repeat(n)}`,
  ),
  statement('window functions', [[100, 'answer']], (n) =>
    selectExpression(joinEach(n, (i) => `sum(a) OVER (ORDER BY a+${i})`, ', ')),
  ),
  statement(
    'windows of windows',
    [[20_000, 'answer']],
    (n) =>
      `SELECT sum(a) OVER w${n} FROM (SELECT 1 AS a) WINDOW w0 AS (ORDER BY a)${joinEach(n, (i) => `, w${i + 1} AS (w${i})`)}`,
  ),
  statement(
    'aggregates',
    [
      [1000, 'answer'],
      [2500, 'answer'],
    ],
    (n) => `SELECT ${joinBalanced(joinEach(n, (i) => `sum(${i}) `).split(/ (?=s)/), '+')} AS v`,
  ),
];
