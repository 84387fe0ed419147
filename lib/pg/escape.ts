import { invalidType } from '../runtime/argument-error';

/** A name as it stands in a statement, between double quotes. */
export function escapeIdentifier(name: string): string {
  if (typeof name !== 'string') throw invalidType('name', 'a string', name);
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as it stands in a statement, between single quotes; of anything else an empty one, as `pg` has it. */
export function escapeLiteral(text: string): string {
  if (typeof text !== 'string') return "''";
  const doubled = text.replaceAll("'", "''");
  return doubled.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}
