// Values on which the engine recurses deeply: patterns, JSON, full-text queries.
import { statementWithArguments, type Construct, JSON_TOO_DEEP, nest, PATTERN_TOO_COMPLEX } from './depth-construct';

const patternOutcomes: Construct['outcomes'] = [
  [24_990, 'answer'],
  [25_010, PATTERN_TOO_COMPLEX],
  [200_000, PATTERN_TOO_COMPLEX],
];
const text = (depth: number) => 'a'.repeat(depth + 10);

/** Arrays in arrays, or objects in objects, in SQLite's binary JSON, which nothing has parsed. */
function binaryJson(depth: number, object: boolean): Uint8Array {
  const bytes = new Uint8Array(1 + depth * (object ? 7 : 5));
  const view = new DataView(bytes.buffer);
  let at = bytes.length - 1;
  bytes[at] = 0x0b;
  for (let level = 0; level < depth; level++) {
    if (object) bytes.set([0x17, 0x61], (at -= 2));
    const size = bytes.length - at;
    at -= 5;
    bytes[at] = object ? 0xec : 0xeb;
    view.setUint32(at + 1, size);
  }
  return bytes;
}

const FULL_TEXT = "CREATE VIRTUAL TABLE f5 USING fts5(a); INSERT INTO f5 VALUES ('x y');";
const FULL_TEXT_4 = "CREATE VIRTUAL TABLE f4 USING fts4(a); INSERT INTO f4 VALUES ('x y');";
const selectMatches = (table: string) => `SELECT count(*) FROM ${table} WHERE ${table} MATCH ?`;

export const values: Construct[] = [
  // Patterns, which are values.
  statementWithArguments('LIKE', patternOutcomes, 'SELECT ? LIKE ?', (n) => [text(n), '%a'.repeat(n)]),
  statementWithArguments('LIKE that does not match', patternOutcomes, 'SELECT ? LIKE ?', (n) => [
    text(n),
    `${'%a'.repeat(n)}b`,
  ]),
  statementWithArguments(
    'LIKE with ESCAPE',
    [
      [16_600, 'answer'],
      [17_000, PATTERN_TOO_COMPLEX],
    ],
    "SELECT ? LIKE ? ESCAPE '!'",
    (n) => [text(n), '%!a'.repeat(n)],
  ),
  statementWithArguments('GLOB', patternOutcomes, 'SELECT ? GLOB ?', (n) => [text(n), '*a'.repeat(n)]),
  statementWithArguments(
    'GLOB with sets',
    [
      [12_490, 'answer'],
      [12_600, PATTERN_TOO_COMPLEX],
    ],
    'SELECT ? GLOB ?',
    (n) => [text(n), '*[a]'.repeat(n)],
  ),
  {
    name: 'LIKE in a batch, a transaction and on a connection of its own',
    outcomes: [[24_990, 'answer']],
    async run(db, depth) {
      const like: [string, string[]] = ['SELECT ? LIKE ?', [text(depth), '%a'.repeat(depth)]];
      await db.batch([like], 'read');
      const transaction = await db.transaction('read');
      await transaction.execute(...like);
      await transaction.rollback();
      await db.withConnection((held) => held.execute(...like));
    },
  },

  // JSON.
  ...(['json(?)', 'json(jsonb(?))', 'json_pretty(?)'] as const).map((call) =>
    statementWithArguments(
      `arrays of ${call}`,
      [
        [1000, 'answer'],
        [1001, JSON_TOO_DEEP],
        [100_000, JSON_TOO_DEEP],
      ],
      `SELECT length(${call}) AS v`,
      (n) => [nest('[', n, '', ']')],
    ),
  ),
  statementWithArguments(
    'objects of json_patch',
    [
      [1000, 'answer'],
      [100_000, JSON_TOO_DEEP],
    ],
    'SELECT length(json_patch(?1, ?1)) AS v',
    (n) => [nest('{"a":', n, '1', '}')],
  ),
  ...(['json_each', 'json_tree'] as const).map((table) =>
    statementWithArguments(
      table,
      [
        [1000, 'answer'],
        [1001, JSON_TOO_DEEP],
      ],
      `SELECT max(length(fullkey)) AS v FROM ${table}(?)`,
      (n) => [nest('{"a":', n, '1', '}')],
    ),
  ),
  statementWithArguments('a path of json_extract', [[50_000, 'answer']], "SELECT json_extract('{}', ?) AS v", (n) => [
    `$${'.a'.repeat(n)}`,
  ]),
  statementWithArguments(
    'a path of json_set',
    [[30_000, 'answer']],
    "SELECT length(json_set('{}', ?, 1)) AS v",
    (n) => [`$${'.a'.repeat(n)}`],
  ),
  statementWithArguments('binary JSON', [[100_000, 'answer']], 'SELECT length(json(?)) AS v', (n) => [
    binaryJson(n, false),
  ]),
  statementWithArguments(
    'binary JSON of jsonb_patch',
    [[100_000, 'answer']],
    'SELECT length(jsonb_patch(?1, ?1)) AS v',
    (n) => [binaryJson(n, true)],
  ),
  statementWithArguments(
    'binary JSON of json_tree',
    [[100_000, 'answer']],
    'SELECT count(*) AS v FROM json_tree(?)',
    (n) => [binaryJson(n, false)],
  ),
  statementWithArguments('binary JSON of json_valid', [[100_000, 'answer']], 'SELECT json_valid(?, 8) AS v', (n) => [
    binaryJson(n, false),
  ]),

  // Full-text queries, which are values.
  statementWithArguments(
    'parentheses of FTS5',
    [
      [80, 'answer'],
      [100_000, /parser stack overflow/],
    ],
    selectMatches('f5'),
    (n) => [nest('(', n, 'x', ')')],
    FULL_TEXT,
  ),
  statementWithArguments(
    'NOT of FTS5',
    [
      [250, 'answer'],
      [20_000, /maximum depth 256/],
    ],
    selectMatches('f5'),
    (n) => [`x${' NOT z'.repeat(n)}`],
    FULL_TEXT,
  ),
  statementWithArguments(
    'AND, OR in parentheses of FTS5',
    [[20_000, /parser stack overflow/]],
    selectMatches('f5'),
    (n) => [nest('x OR (y AND (', n, 'x', '))')],
    FULL_TEXT,
  ),
  statementWithArguments(
    'columns of FTS5',
    [[2000, /parser stack overflow/]],
    selectMatches('f5'),
    (n) => [nest('a:(', n, 'x', ')')],
    FULL_TEXT,
  ),
  statementWithArguments(
    'OR of FTS5',
    [[5000, 'answer']],
    selectMatches('f5'),
    (n) => [`x${' OR y'.repeat(n)}`],
    FULL_TEXT,
  ),
  statementWithArguments('words of FTS5', [[5000, 'answer']], selectMatches('f5'), (n) => ['x '.repeat(n)], FULL_TEXT),
  statementWithArguments(
    'a phrase of FTS5',
    [[20_000, 'answer']],
    selectMatches('f5'),
    (n) => [`"${'x '.repeat(n)}"`],
    FULL_TEXT,
  ),
  statementWithArguments(
    'parentheses of FTS4',
    [
      [900, 'answer'],
      [100_000, /malformed MATCH/],
    ],
    selectMatches('f4'),
    (n) => [nest('(', n, 'x', ')')],
    FULL_TEXT_4,
  ),
  statementWithArguments(
    'OR of FTS4',
    [[5000, /maximum depth 12/]],
    selectMatches('f4'),
    (n) => [`x${' OR y'.repeat(n)}`],
    FULL_TEXT_4,
  ),
  statementWithArguments(
    'NEAR of FTS4',
    [[1000, /maximum depth 12/]],
    selectMatches('f4'),
    (n) => [`x${' NEAR y'.repeat(n)}`],
    FULL_TEXT_4,
  ),
  statementWithArguments('a vector', [[60_000, 'answer']], 'SELECT length(vector(?)) AS v', (n) => [
    `[${'1,'.repeat(n)}1]`,
  ]),
];
