// The bans of deny.toml, for machines without cargo-deny. That one knows what is really built; Cargo.lock also lists what is optional.

/** Options that nobody takes: of rustls-webpki. */
const NOT_BUILT = ['ring'];

export function banProblems(tree) {
  const denied = [...tree.read('deny.toml').matchAll(/\{ crate = "([^"]+)"/g)].map(([, name]) => name);
  if (denied.length === 0) return [{ file: 'deny.toml', problem: 'bans nothing' }];
  const packages = new Set([...tree.read('Cargo.lock').matchAll(/^name = "(.+)"$/gm)].map(([, name]) => name));
  return denied
    .filter((name) => packages.has(name) && !NOT_BUILT.includes(name))
    .map((name) => ({ file: 'Cargo.lock', problem: `${name} is banned by deny.toml` }));
}
