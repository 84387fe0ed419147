// What text can be JSON: a parser that throws costs a hundred times what it costs to look.

const NUMBER = /^[\t\n\r ]*-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?[\t\n\r ]*$/;
const LITERAL = /^[\t\n\r ]*(?:true|false|null)[\t\n\r ]*$/;
/** The beginning of an array whose first element is a number or a literal. */
const ARRAY_START =
  /^[\t\n\r ]*\[[\t\n\r ]*(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)[\t\n\r ]*[,\]]/;

const SPACE = 0x20;
const QUOTE = 0x22;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const LEFT_BRACKET = 0x5b;
const RIGHT_BRACKET = 0x5d;
const LEFT_BRACE = 0x7b;
const RIGHT_BRACE = 0x7d;

/** Whether a text may be JSON: false only where it is none. */
export function mayBeJson(text: string): boolean {
  const start = skipSpace(text, 0, 1);
  const first = text.charCodeAt(start);
  if (first === LEFT_BRACE) {
    const next = text.charCodeAt(skipSpace(text, start + 1, 1));
    return (next === QUOTE || next === RIGHT_BRACE) && lastOf(text) === RIGHT_BRACE;
  }
  if (first === LEFT_BRACKET) {
    if (lastOf(text) !== RIGHT_BRACKET) return false;
    const next = text.charCodeAt(skipSpace(text, start + 1, 1));
    const isOpening = next === LEFT_BRACE || next === LEFT_BRACKET || next === QUOTE || next === RIGHT_BRACKET;
    return isOpening || ARRAY_START.test(text);
  }
  if (first === QUOTE) return isQuoted(text, start);
  if (first === MINUS || (first >= ZERO && first <= NINE)) return NUMBER.test(text);
  return isFirstOfLiteral(first) && LITERAL.test(text);
}

/** Whether the string that begins at `start` ends where the text does, as far as that can be seen. */
function isQuoted(text: string, start: number): boolean {
  const end = skipSpace(text, text.length - 1, -1);
  return text.charCodeAt(end) === QUOTE && (text.indexOf('"', start + 1) === end || text.includes('\\'));
}

/** Whether a literal begins with it: `true`, `false` or `null`. */
function isFirstOfLiteral(code: number): boolean {
  return code === 0x74 || code === 0x66 || code === 0x6e;
}

function lastOf(text: string): number {
  return text.charCodeAt(skipSpace(text, text.length - 1, -1));
}

/** The index of the first character from `at` on, in steps, that is no white space of JSON. */
function skipSpace(text: string, at: number, step: 1 | -1): number {
  for (; ; at += step) {
    const code = text.charCodeAt(at);
    if (code !== SPACE && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
  }
}
