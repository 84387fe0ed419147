// docs/defaults.md

/** How the options of an interface reach the addon, so that it says itself what it accepts. */
const given = ({ moorline, 'moorline/libsql': libsql }) => ({
  BreakerOptions: (options) => new moorline.Policy({ breaker: options }),
  BulkheadOptions: (options) => new moorline.Policy({ bulkhead: options }),
  Config: (options) => libsql.createClient({ url: ':memory:', ...options }),
  ConnectionConfig: (options) => new moorline.ConnectionConfigManager({}).set('http', options),
  HealthCheckOptions: (options) => new moorline.HealthMonitor(options),
  NixtlaClientConfig: (options) => new moorline.NixtlaClient({ apiKey: 'key', ...options }),
  PoolConfig: (options) => new moorline.ConnectionPool(options, () => null),
  PolicyOptions: (options) => new moorline.Policy(options),
  RateLimitOptions: (options) => new moorline.Policy({ rateLimit: { max: 1, ...options } }),
  RetryOptions: (options) => new moorline.Policy({ retry: options }),
  TursoPoolConfig: (options) => new moorline.TursoPool({ url: ':memory:', ...options }),
  WebhookVerificationConfig: (options) => new moorline.WebhookVerifier({ secret: 'secret', ...options }),
});

export function defaultsPage(typings, modules) {
  const makers = given(modules);
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
    for (const option of members) parts.push(row(option, makers[name]));
  }
  return `${parts.join('\n')}\n`;
}

function row({ name, doc }, make) {
  const [sentence, value] = doc.match(/\bDefault:? (.+?)(?:[;:.](?= |$)|$)/) ?? [];
  const [before, after] = doc.split(sentence);
  const rest = before + after.replace(/^[;:.]?\s*/, '').replace(/^\w/, (letter) => letter.toUpperCase());
  const cells = [`\`${name}\``, value, make ? accepted(name, make) : '', rest];
  return `| ${cells.map((cell) => cell.replace(/\|/g, '\\|').replace(/\s+/g, ' ').trim()).join(' | ')} |`;
}

/** A number for what wants none, and a number out of range for what wants one. */
function accepted(name, make) {
  try {
    make({ [name]: -1 });
  } catch (error) {
    const [, expected] = error.message.match(/must be (.+), got/) ?? [];
    if (expected) return expected;
    throw error;
  }
  return '';
}
