/** Reads the text of an array, `{1,NULL,{"a \"b\""}}`, whose elements `parse` reads; NULL is null. */
export function parseArray<T>(text: string, parse: (element: string) => T): unknown[] {
  const root: unknown[] = [];
  const outer: unknown[][] = [];
  let array = root;
  // Bounds that do not begin at 1 stand before it: `[0:1]={1,2}`.
  let at = text[0] === '[' ? text.indexOf('=') + 1 : 0;
  while (at < text.length) {
    switch (text[at]) {
      case '{': {
        const inner: unknown[] = [];
        array.push(inner);
        outer.push(array);
        array = inner;
        at++;
        break;
      }
      case '}':
        array = outer.pop() ?? root;
        at++;
        break;
      case ',':
        at++;
        break;
      case '"': {
        const end = quoteAfter(text, at + 1);
        const element = text.slice(at + 1, end);
        array.push(parse(element.includes('\\') ? element.replace(/\\(.)/gs, '$1') : element));
        at = end + 1;
        break;
      }
      default: {
        const end = delimiterAfter(text, at);
        const element = text.slice(at, end);
        array.push(element === 'NULL' ? null : parse(element));
        at = end;
      }
    }
  }
  const [first] = root;
  return Array.isArray(first) ? (first as unknown[]) : root;
}

/** Where the quote is that ends an element. */
function quoteAfter(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (char === '"') return at;
    if (char === '\\') at++;
  }
  return text.length;
}

/** Where an element without quotes ends. */
function delimiterAfter(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== ',' && text[at] !== '}') at++;
  return at;
}

/** A parser of arrays whose elements `parse` reads. */
export function arrayOf(parse: (element: string) => unknown): (text: string) => unknown[] {
  return (text) => parseArray(text, parse);
}

/** Reads texts of arrays, called as that of `pg`. */
export const arrayParser = {
  /** What reads `text`, whose elements `parse` reads; as they are without it. */
  create<T = string>(text: string, parse: (element: string) => T = (element) => element as T): { parse(): unknown[] } {
    return { parse: () => parseArray(text, parse) };
  },
};
