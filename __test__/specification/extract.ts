// The documents of the specification, whole, and the code blocks in them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One fenced code block. */
export interface Block {
  /** Its number in the document, from 1. */
  number: number;
  /** The heading it stands under. */
  heading: string;
  /** The word after the opening fence; empty when there is none. */
  language: string;
  /** The line of its first line of code, from 1. */
  line: number;
  code: string;
}

/** The text of a document, byte for byte as it was written. */
export function specificationDocument(number: number): string {
  const prefix = String(number).padStart(3, '0');
  const file = readdirSync(__dirname).find((name) => name.startsWith(`${prefix}_`) && name.endsWith('.txt'));
  if (!file) throw new Error(`there is no document ${number}`);
  return readFileSync(join(__dirname, file), 'utf8');
}

/** Cuts every code block out of a document. */
export function codeBlocks(document: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  let open: Block | undefined;
  for (const [index, line] of document.split('\n').entries()) {
    const fence = /^\s*```(\S*)\s*$/.exec(line);
    if (open && fence) {
      blocks.push(open);
      open = undefined;
    } else if (open) {
      open.code += `${line}\n`;
    } else if (fence) {
      open = { number: blocks.length + 1, heading, language: fence[1] ?? '', line: index + 2, code: '' };
    } else {
      heading = /^#+\s+(.+?)\s*$/.exec(line)?.[1] ?? heading;
    }
  }
  if (open) throw new Error(`the code block in line ${open.line} is not closed`);
  return blocks;
}
