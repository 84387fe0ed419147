// The type of a construct on which the engine recurses, and functions that make one.
import type { TursoPool } from 'moorline';

export type Db = Pick<TursoPool, 'execute' | 'executeMultiple' | 'batch' | 'withConnection' | 'transaction'>;

/** A construct: the depths to try, and the outcome of each, an answer or an error message. */
export interface Construct {
  name: string;
  outcomes: [depth: number, outcome: 'answer' | RegExp][];
  run(db: Db, depth: number): Promise<unknown>;
}

export const EXPRESSION_TOO_DEEP = /maximum depth 1000/;
export const TRIGGERS_TOO_DEEP = /too many levels of trigger recursion/;
export const PATTERN_TOO_COMPLEX = /LIKE or GLOB pattern too complex/;
export const JSON_TOO_DEEP = /malformed JSON/;

export const nest = (open: string, depth: number, inner: string, close = '') =>
  open.repeat(depth) + inner + close.repeat(depth);
export const joinEach = (count: number, part: (index: number) => string, separator = '') =>
  Array.from({ length: count }, (_, index) => part(index)).join(separator);
/** Terms joined in pairs, so that many of them are not deep. */
export const joinBalanced = (terms: string[], operator: string): string => {
  if (terms.length === 1) return terms[0]!;
  const half = terms.length >> 1;
  const [left, right] = [terms.slice(0, half), terms.slice(half)];
  return `(${joinBalanced(left, operator)} ${operator} ${joinBalanced(right, operator)})`;
};

/** One statement. */
export const statement = (
  name: string,
  outcomes: Construct['outcomes'],
  sql: (depth: number) => string,
): Construct => ({
  name,
  outcomes,
  run: (db, depth) => db.execute(sql(depth)),
});

/** One statement with the construct in its arguments. */
export const statementWithArguments = (
  name: string,
  outcomes: Construct['outcomes'],
  sql: string,
  args: (depth: number) => (string | Uint8Array)[],
  setUp = '',
): Construct => ({
  name,
  outcomes,
  async run(db, depth) {
    await db.executeMultiple(setUp);
    await db.execute(sql, args(depth));
  },
});

/** A schema, and a statement that walks it. */
export const statementWithSchema = (
  name: string,
  outcomes: Construct['outcomes'],
  setUp: (depth: number) => string,
  sql: (depth: number) => string,
): Construct => ({
  name,
  outcomes,
  async run(db, depth) {
    await db.executeMultiple(setUp(depth));
    await db.execute(sql(depth));
  },
});
