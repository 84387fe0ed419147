// The dummy service of the recipe test: the content of each row of CONTRIBUTING.md for it. Lines are added to a list before
// the first line that matches; a file that the service does not need has the reason.

const NOUN = 'beacon';

/** The path of a row for the dummy. */
export const substituteNoun = (path) => path.replaceAll('<service>', NOUN).replaceAll('<entry>', NOUN);

/** Rows of files → text, or `{ reasonToOmit }`. */
export const FILES = {
  'crates/core/src/<service>/': { reasonToOmit: 'it decides nothing' },
  'crates/services/src/<service>/mod.rs': `//! A beacon: answers with any status below 400 while it is lit.

mod config;
mod connect;
mod error;
mod service;

pub use config::Config;
pub use service::Beacon;
`,
  'crates/services/src/<service>/config.rs': `//! The options of a beacon, normalized. Every default is here.

use moorline_core::options::{Options, PlainValue, Read};

const METHOD: &str = "GET";

/// The options of a [\`Beacon\`](super::Beacon).
pub struct Config {
    pub(super) url: String,
    pub(super) method: String,
}

impl Config {
    /// Reads an options object; unknown keys are refused.
    pub fn read(given: &PlainValue) -> Read<Self> {
        let options = Options::new("options", given)?;
        let config = Self {
            url: options.required_text("url")?.to_owned(),
            method: options.text("method")?.unwrap_or(METHOD).to_owned(),
        };
        options.finish()?;
        Ok(config)
    }
}
`,
  'crates/services/src/<service>/connect.rs': `//! Reaching a beacon.

use moorline_core::options::{Options, PlainValue, Read};
use moorline_net::http::{Engine, HttpConfig};
use tokio::runtime::Handle;

/// An engine with the options that HTTP has by default.
pub(super) fn engine(runtime: Handle) -> Read<Engine> {
    let options = HttpConfig::read(Options::new("options", &PlainValue::Undefined)?)?;
    Ok(Engine::new(options, runtime))
}
`,
  'crates/services/src/<service>/service.rs': `//! The operation of a beacon.

use moorline_core::{error::Outcome, options::Read};
use moorline_net::http::{Engine, Request, RequestBody};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    config::Config,
    connect::engine,
    error::{OPERATION, SERVICE, rejection},
};

/// A beacon.
pub struct Beacon {
    config: Config,
    engine: Engine,
}

impl Beacon {
    /// A beacon; nothing is reached yet.
    pub fn new(config: Config, runtime: Handle) -> Read<Self> {
        let engine = engine(runtime)?;
        Ok(Self { config, engine })
    }

    /// Asks whether it is lit.
    pub async fn look(&self, cancel: &CancellationToken) -> Outcome<()> {
        let request = Request::new(&self.config.method, &self.config.url, "", RequestBody::Empty);
        let request = request.map_err(|error| rejection(error.message))?;
        let answer = self.engine.request(request, cancel).await;
        let answer = answer.map_err(|failure| failure.during(SERVICE, OPERATION))?;
        if answer.status.as_u16() < 400 {
            return Ok(());
        }
        Err(rejection(format!("it answered with {}", answer.status)))
    }
}
`,
  'crates/services/src/<service>/error.rs': `//! How a beacon fails, in the words of the one taxonomy.

use moorline_core::error::{Failure, Kind};

pub(super) const SERVICE: &str = "beacon";
pub(super) const OPERATION: &str = "look";

/// An answer that is none of a beacon, or a request that cannot be sent.
pub(super) fn rejection(reason: String) -> Failure {
    Failure::new(Kind::Rejected, reason).during(SERVICE, OPERATION)
}
`,
  'crates/services/tests/<service>/main.rs': `//! The options of a beacon.

use moorline_core::options::PlainValue;
use moorline_services::beacon::Config;

#[test]
fn a_url_is_needed() {
    assert!(Config::read(&PlainValue::Undefined).is_err());
}
`,
  'src/<service>/mod.rs': `//! Beacons.

use moorline_services::beacon::{Beacon, Config};
use napi::{Env, Result};
use napi_derive::napi;

use crate::bridge::{Cancel, Handle, OrThrow, PromiseValue, RawArgument, promise, runtime};

/// A beacon; nothing is reached yet.
#[napi(catch_unwind, ts_return_type = "Handle<Beacon>")]
pub fn beacon_create(env: Env, options: RawArgument) -> Result<Handle<Beacon>> {
    let config = Config::read(&options.0).or_throw(&env)?;
    let runtime = runtime(&env)?;
    let beacon = Beacon::new(config, runtime.clone()).or_throw(&env)?;
    Ok(Handle::new(beacon))
}

/// Asks whether it is lit.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn beacon_look(
    env: Env,
    beacon: Handle<Beacon>,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let cancel = Cancel::token(cancel.as_ref());
    promise(&env, async move { beacon.look(&cancel).await })
}
`,
  'src/<service>/fast.rs': { reasonToOmit: 'no call of it must cost next to nothing' },
  'src/<service>/fast.d.ts': { reasonToOmit: 'it has no `fast.rs`' },
  'src/<service>/encode.rs': { reasonToOmit: 'it answers with nothing' },
  'lib/<service>/index.ts': `export { BeaconClient, type BeaconClientOptions } from './client';
`,
  'lib/<service>/client.ts': `import { call, type CallOptions } from '../runtime/native-call';
import { native, type Beacon, type Handle } from '../runtime/native';

/** Options of a {@link BeaconClient}. */
export interface BeaconClientOptions {
  /** Where it stands. */
  url: string;
  /** How it is asked. Default \`GET\`. */
  method?: string | undefined;
}

/** A beacon. */
export class BeaconClient {
  readonly #handle: Handle<Beacon>;

  /** @throws TypeError for an option that is unknown or of the wrong type. */
  constructor(options: BeaconClientOptions) {
    this.#handle = native.beaconCreate(options);
  }

  /** Resolves when it is lit. */
  async look({ signal }: CallOptions = {}): Promise<void> {
    await call((cancel) => native.beaconLook(this.#handle, cancel), signal);
  }
}
`,
  '__test__/<service>/<service>.test.ts': `import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BeaconClient } from 'moorline';

test('a URL is needed', () => {
  // @ts-expect-error There is none.
  assert.throws(() => new BeaconClient({}), TypeError);
});
`,
  '__test__/contract/subjects/<service>.ts': `import { BeaconClient } from 'moorline';

import type { Subject } from '../contract';

/** A beacon that is out. */
export const beacon: Subject = {
  name: 'BeaconClient',
  service: 'beacon',
  lacks: {
    close: 'it has nothing to close',
    hold: 'it lends nothing',
    refuse: 'it refuses nothing',
  },
  start(url) {
    const client = new BeaconClient({ url });
    const look = (options?: { signal?: AbortSignal }) => client.look(options);
    return { operate: look, fail: look, stall: look };
  },
};
`,
  'bench/<service>.mjs': `// Looks at a beacon.
import { skipBench } from './harness.mjs';

skipBench('beacon', 'there is no other client');
`,
  'docs/services/<service>.md': `# Beacons

\`BeaconClient\` asks whether a beacon is lit.

## Troubleshooting

| symptom | look at | usual reason |
|---|---|---|
| \`rejected\` | the status in the message | it is out |
`,
  'lib/entries/<entry>.ts': `export { BeaconClient } from '../beacon';
`,
};

/** Rows of lists → lines, each with what it stands before, or `{ reasonToOmit }`. */
export const LISTS = {
  'crates/services/Cargo.toml': { reasonToOmit: 'it needs no crate that the others have not' },
  'crates/services/src/lib.rs': [{ line: 'pub mod beacon;', before: /^pub mod / }],
  'src/lib.rs': [{ line: 'mod beacon;', before: /^mod / }],
  'lib/entries/index.ts': [{ line: "export * from '../beacon';", before: /^export \*/ }],
  'README.md': [{ line: '  [beacons](docs/services/beacon.md) ·', before: /^ {2}\[.+\]\(docs\/services\// }],
  'CHANGELOG.md': [{ line: '- \`BeaconClient\`: asks whether a beacon is lit.', before: /^- / }],
  'package.json': [
    { line: '    "./beacon": {', before: /^ {4}"\.\/package\.json"/ },
    { line: '      "types": "./beacon.d.ts",', before: /^ {4}"\.\/package\.json"/ },
    { line: '      "webpack": "./dist/entries/beacon.webpack.js",', before: /^ {4}"\.\/package\.json"/ },
    { line: '      "default": "./dist/entries/beacon.js"', before: /^ {4}"\.\/package\.json"/ },
    { line: '    },', before: /^ {4}"\.\/package\.json"/ },
    { line: '    "beacon.d.ts",', before: /^ {4}"docs",/ },
  ],
};
