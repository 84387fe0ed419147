import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as util from 'node:util';

import { invalidType, invalidValue } from '../runtime/argument-error';
import { messageOf } from '../runtime/error-message';

const FILE_NAME = '.env.local';

/** Sets the variables of the file, by default of the nearest `.env.local`, that are not set. No file is no error. */
export function loadEnvironmentFile(path: string | undefined): void {
  if (path !== undefined && typeof path !== 'string') throw invalidType('options.envFile', 'a string', path);
  const file = path ?? findFile();
  const text = file === undefined ? undefined : read(file);
  if (text === undefined) return;
  for (const [name, value] of Object.entries(parse(text))) {
    if (value !== undefined) process.env[name] ??= value;
  }
}

/** The environment variables. */
export function variables(): Record<string, string | undefined> {
  return { ...process.env };
}

/** In the working directory and above, up to the nearest package.json. */
function findFile(): string | undefined {
  for (let directory = process.cwd(); ; directory = dirname(directory)) {
    const file = join(directory, FILE_NAME);
    if (existsSync(file)) return file;
    if (existsSync(join(directory, 'package.json')) || dirname(directory) === directory) return undefined;
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw invalidValue(`the environment file cannot be read: ${messageOf(error)}`);
  }
}

function parse(text: string): Record<string, string | undefined> {
  // Node.js has it from 20.12 on; another runtime may lack it.
  const { parseEnv } = util as { parseEnv?: typeof util.parseEnv };
  return parseEnv ? parseEnv(text) : parseLines(text);
}

const LINE = /^\s*(?:export\s+)?([\w.-]+)[^\S\r\n]*=[^\S\r\n]*(?:'([^']*)'|"([^"]*)"|`([^`]*)`|([^#\r\n]*))/gm;

/** The same without Node's reader. */
export function parseLines(text: string): Record<string, string> {
  const lines = [...text.matchAll(LINE)].map(([, name, single, double, back, plain = '']) => {
    const value = single ?? double?.replaceAll('\\n', '\n') ?? back ?? plain.trim();
    return [name, value] as [string, string];
  });
  return Object.fromEntries(lines);
}
