// docs/reference/api.md

const TITLES = { class: 'Classes', function: 'Functions', value: 'Values', interface: 'Interfaces', type: 'Types' };

export function apiPage(typings) {
  const parts = [
    '# Public names\n',
    'What can be imported, with its documentation. Defaults: [defaults.md](defaults.md).\n',
  ];
  for (const [specifier, names] of Object.entries(typings)) {
    parts.push(`\n# \`${specifier}\`\n`);
    for (const [kind, title] of Object.entries(TITLES)) {
      const ofKind = names.filter((name) => name.kind === kind);
      if (ofKind.length > 0) parts.push(`\n## ${title}\n`, ...ofKind.map(section));
    }
  }
  return `${parts.join('\n')}\n`.replace(/\n{3,}/g, '\n\n');
}

function section({ name, signature, doc, example, members }) {
  const lines = [`\n### ${name}\n`, '```ts', signature, '```'];
  if (doc) lines.push('', doc);
  if (example) lines.push('', example);
  if (members.length > 0) lines.push('', ...members.map(bullet));
  return lines.join('\n');
}

function bullet({ signature, doc, example }) {
  const code = example && `\n\n${example.replace(/^(?=.)/gm, '  ')}\n`;
  return `- \`${signature}\`${doc ? `  \n  ${doc.replace(/\s*\n\s*/g, ' ')}` : ''}${code}`;
}
