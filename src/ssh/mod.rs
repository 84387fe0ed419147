//! SSH tunnels.
//!
//! No `fast.rs`: nothing of a tunnel is called for each operation of a connection.

mod credentials;
mod encode;

use std::sync::Arc;

use moorline_core::{options::NativeObject, profile::Profile};
use moorline_net::{
    dial::{Shared, Tunnel},
    ssh::{CredentialRequests, SshTunnel, TunnelConfig, TunnelParts},
};
use napi::{Env, Result};
use napi_derive::napi;

use self::encode::{TunnelEvents, encode_config, encode_stats};
use crate::bridge::{
    Callback, Handle, OrThrow, PromiseValue, RawArgument, Value, promise, runtime,
};

/// A tunnel that is not connected. `variables` are environment variables: with `from_environment` they stand for the options
/// that are not given. `listener` receives its events as JSON text, `credentials` the requests for credentials.
#[napi(catch_unwind, ts_return_type = "Handle<SshTunnel>")]
pub fn ssh_open(
    env: Env,
    options: RawArgument,
    variables: RawArgument,
    from_environment: bool,
    credentials: Handle<CredentialRequests>,
    #[napi(ts_arg_type = "(event: string) => void")] listener: Callback,
) -> Result<Handle<SshTunnel>> {
    let config = if from_environment {
        TunnelConfig::read_environment(&options.0, &variables.0)
    } else {
        TunnelConfig::read_given(&options.0, &variables.0)
    };
    let config = config.or_throw(&env)?;
    let parts = TunnelParts {
        credentials: Some(credentials.0),
        listener: Some(Arc::new(TunnelEvents(listener))),
        ..TunnelParts::default()
    };
    let tunnel = SshTunnel::new(config, parts, runtime(&env)?.clone());
    tunnel.register_metrics();
    Ok(Handle::new(tunnel))
}

/// The tunnel as an option of what dials.
#[napi(catch_unwind, ts_return_type = "Handle<NativeObject>")]
pub fn ssh_as_option(tunnel: Handle<SshTunnel>) -> Handle<NativeObject> {
    let tunnel: Arc<dyn Tunnel> = tunnel.0;
    Handle::new(NativeObject::new(Shared(tunnel)))
}

/// Connects, or joins what is under way.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn ssh_connect(env: Env, tunnel: Handle<SshTunnel>) -> Result<PromiseValue> {
    let connecting = tunnel.connect();
    promise(&env, async move {
        connecting
            .await
            .map_err(|failure| failure.during("ssh", "connect"))
    })
}

/// Disconnects.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn ssh_disconnect(env: Env, tunnel: Handle<SshTunnel>) -> Result<PromiseValue> {
    let ending = tunnel.disconnect();
    promise(&env, async move {
        ending.await;
        Ok(())
    })
}

/// Whether a session is open.
#[napi(catch_unwind)]
pub fn ssh_is_connected(tunnel: Handle<SshTunnel>) -> bool {
    tunnel.is_connected()
}

/// A round trip to the server, in milliseconds.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn ssh_ping(env: Env, tunnel: Handle<SshTunnel>) -> Result<PromiseValue> {
    promise(&env, async move {
        let round_trip = tunnel.ping().await;
        let round_trip = round_trip.map_err(|failure| failure.during("ssh", "ping"))?;
        Ok(Value::Number(round_trip.as_secs_f64() * 1000.0))
    })
}

/// What it has and has done, as JSON.
#[napi(catch_unwind)]
pub fn ssh_stats(tunnel: Handle<SshTunnel>) -> String {
    encode_stats(&tunnel.stats()).to_string()
}

/// The local port, while it is open.
#[napi(catch_unwind)]
pub fn ssh_local_port(tunnel: Handle<SshTunnel>) -> Option<u16> {
    tunnel.local_port()
}

/// The options in force without secrets, as JSON.
#[napi(catch_unwind)]
pub fn ssh_options(tunnel: Handle<SshTunnel>) -> String {
    encode_config(tunnel.config()).to_string()
}

/// The profiles, as JSON.
#[napi(catch_unwind)]
pub fn ssh_profiles() -> String {
    Profile::describe_all().to_string()
}
