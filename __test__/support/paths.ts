import { join } from 'node:path';

/** The project. */
export const root = join(__dirname, '..', '..');

/** The tests. */
export const testsDirectory = join(root, '__test__');

/** What `npm run build` made of lib/, and the addon. */
export const dist = join(root, 'dist');

/** The compiled entry point `moorline`. */
export const mainEntry = join(dist, 'entries', 'index.js');
