// docs/reference/defaults.md

/** Options that must be given, though the types cannot say so. */
const REQUIRED_OPTIONS = {
  RateLimitOptions: { max: 1 },
  PostgresManagerConfig: { user: 'user', tunnel: false },
  TunnelConfig: { sshHost: 'host', sshUsername: 'user', password: 'password', remotePort: 1 },
};

/** Options that are taken as a part of what the name after it has. */
const EXTENDED_BY = { PostgresPoolConfig: 'PostgresManagerConfig' };

/**
 * How the options of an interface reach the addon, so that it says itself what it accepts: by the class, else the function,
 * whose first argument they are, or as a part of other options.
 */
function makersOf(typings, modules) {
  const makers = new Map();
  const all = Object.entries(typings).flatMap(([entry, names]) => names.map((one) => ({ ...one, entry })));
  // Two entries may each have one of the same name.
  const keyOf = (entry, name) => `${entry} ${name}`;
  const interfaces = new Map(
    all.filter(({ kind }) => kind === 'interface').map((one) => [keyOf(one.entry, one.name), one]),
  );
  const add = (entry, name, make) => {
    const key = keyOf(entry, name);
    if (makers.has(key) || !interfaces.has(key)) return;
    const { members } = interfaces.get(key);
    makers.set(key, (options) => make({ ...requiredOptions(members), ...REQUIRED_OPTIONS[name], ...options }));
    for (const { name: part, signature } of members) {
      const [, options] = signature.match(/\b(\w+Options)\b/) ?? [];
      if (options) add(entry, options, (given) => makers.get(key)({ [part]: given }));
    }
  };
  const optionsTypeOf = (signature) => signature?.match(/\(\w+\??: (\w*(?:Options|Config))\b/)?.[1];
  for (const { name, signature, members, entry } of all.filter(({ kind }) => kind === 'class')) {
    if (signature.startsWith('abstract')) continue;
    const constructorMember = members.find((member) => member.name === 'constructor');
    add(entry, optionsTypeOf(constructorMember?.signature), (options) => new modules[entry][name](options, () => null));
  }
  for (const { name, signature, entry } of all.filter(({ kind }) => kind === 'function')) {
    add(entry, optionsTypeOf(signature), (options) => modules[entry][name](options));
  }
  return makers;
}

/** A value for each option that must be given. */
function requiredOptions(members) {
  const values = { string: ':memory:', number: 1 };
  const requiredMembers = members.filter(({ signature }) => /^\w+:/.test(signature));
  return Object.fromEntries(
    requiredMembers.map(({ name, signature }) => [name, values[signature.match(/: (\w+)/)[1]]]),
  );
}

export function defaultsPage(typings, modules) {
  const makers = makersOf(typings, modules);
  const interfaces = Object.entries(typings)
    .flatMap(([entry, names]) => names.map((one) => ({ ...one, entry })))
    .filter(({ kind, name }) => kind === 'interface' && /(Options|Config)$/.test(name))
    .map((one) => ({ ...one, members: one.members.filter(({ doc }) => /\bDefault\b/.test(doc)) }))
    .filter(({ members }) => members.length > 0);
  const parts = [
    '# Options and their defaults\n',
    'Times are in milliseconds, those of pools of connections (`PoolConfig`) and of the retry strategies in **seconds**. *Accepts* is the answer of the addon to a value that cannot be right.',
  ];
  for (const { name, entry, members } of interfaces) {
    const title = entry === 'moorline' ? name : `${name} of ${entry}`;
    parts.push(`\n## ${title}\n`, '| option | default | accepts | |', '|---|---|---|---|');
    for (const option of members) parts.push(row(option, makers.get(`${entry} ${EXTENDED_BY[name] ?? name}`)));
  }
  return `${parts.join('\n')}\n`;
}

function row({ name, doc }, make) {
  const [sentence, value] = doc.match(/\bDefault:? (.+?)(?:[;:.](?= |$)|$)/) ?? [];
  const [before, after] = doc.split(sentence);
  const rest = before + after.replace(/^[;:.]?\s*/, '').replace(/^\w/, (letter) => letter.toUpperCase());
  const cells = [`\`${name}\``, value, make ? acceptedValues(name, make) : '', rest];
  return `| ${cells.map((cell) => cell.replace(/\|/g, '\\|').replace(/\s+/g, ' ').trim()).join(' | ')} |`;
}

/** A number for what wants none, and a number out of range for what wants one. */
function acceptedValues(name, make) {
  try {
    make({ [name]: -1 });
  } catch (error) {
    const [, expected] = error.message.match(/must be (.+), got/) ?? [];
    if (expected) return expected;
    throw error;
  }
  return '';
}
