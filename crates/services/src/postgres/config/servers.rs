//! The servers among which one is looked for.

use std::{net::IpAddr, path::PathBuf};

use moorline_core::options::{OptionError, Options, PlainValue, Read};
use moorline_net::dial::{TunnelAddress, TunnelEnd};

use crate::postgres::address::{Address, DEFAULT_PORT, Server};

const DEFAULT_HOST: &str = "localhost";
/// As many as anybody has; each of them may be waited for.
const MAX_SERVERS: usize = 100;

/// What stands for a host and a port that are not given.
struct Defaults {
    host: String,
    port: u16,
}

impl Defaults {
    fn of(end: Option<&TunnelEnd>) -> Self {
        match end.map(|end| &end.address) {
            Some(TunnelAddress::Host(host, port)) => Self {
                host: host.clone(),
                port: *port,
            },
            _ => Self {
                host: DEFAULT_HOST.to_owned(),
                port: DEFAULT_PORT,
            },
        }
    }
}

/// Reads `host`, `hostaddr` and `port`: one each, or several that stand side by side. `end` is that of the tunnel: nothing, or the
/// tunnel's local port on this machine, stands for it.
pub(super) fn read(options: &Options<'_>, end: Option<&TunnelEnd>) -> Read<Vec<Server>> {
    let defaults = Defaults::of(end);
    let hosts = list(options.text("host")?);
    let addresses = list(options.text("hostaddr")?);
    let port = options.value("port");
    let ports = match port {
        Some(PlainValue::Text(text)) => list(Some(text)),
        _ => vec![
            options
                .integer("port", defaults.port.into(), 1..=u64::from(u16::MAX))?
                .to_string(),
        ],
    };
    if let Some(end) = end.filter(|_| [&hosts, &addresses].map(is_absent) == [true; 2])
        && (port.is_none() || is_absent(&ports))
    {
        return Ok(vec![server_at(end)]);
    }
    let count = hosts.len().max(addresses.len());
    let fits = |list: &Vec<String>| list.len() == count;
    if count > MAX_SERVERS {
        let reason = format!("must be {MAX_SERVERS} hosts at most");
        return Err(OptionError::bad_value(&options.path_of("host"), reason));
    }
    if [&hosts, &addresses]
        .into_iter()
        .any(|list| !fits(list) && !is_absent(list))
    {
        let reason = "must be as many as there are hosts";
        return Err(OptionError::bad_value(&options.path_of("hostaddr"), reason));
    }
    if !fits(&ports) && ports.len() != 1 {
        let reason = "must be one, or as many as there are hosts";
        return Err(OptionError::bad_value(&options.path_of("port"), reason));
    }
    let at = |list: &[String], place: usize| list.get(place).cloned().unwrap_or_default();
    let server = |place: usize| {
        let port = ports.get(place).unwrap_or(&ports[0]);
        let port = read_port(&options.path_of("port"), port, defaults.port)?;
        let address = at(&addresses, place);
        let numeric = (!address.is_empty()).then_some(address);
        let host = at(&hosts, place);
        let is_given = !host.is_empty() || numeric.is_some();
        let server = read_server(options, host, numeric, port, &defaults.host)?;
        let leads_here = || !is_given || server.is_at_host() && is_local(&server);
        let end = end.filter(|end| end.local_port == Some(port) && leads_here());
        Ok(end.map_or_else(|| server.clone(), server_at))
    };
    (0..count).map(server).collect()
}

/// The parts between commas; one that is empty stands for the default.
fn list(text: Option<&str>) -> Vec<String> {
    let parts = text.unwrap_or_default().split(',');
    parts.map(|part| part.trim().to_owned()).collect()
}

fn is_absent(list: &Vec<String>) -> bool {
    matches!(list.as_slice(), [only] if only.is_empty())
}

fn server_at(end: &TunnelEnd) -> Server {
    Server {
        address: match &end.address {
            TunnelAddress::Host(host, port) => Address::Host(host.clone(), *port),
            TunnelAddress::Socket(path) => Address::Socket(path.clone()),
        },
        numeric: None,
    }
}

fn read_port(path: &str, text: &str, default: u16) -> Read<u16> {
    if text.is_empty() {
        return Ok(default);
    }
    let port = text.parse().ok().filter(|port| *port > 0);
    // Not shown: it may be a part of a password that was not encoded.
    port.ok_or_else(|| OptionError::bad_value(path, "must be a port, a number between 1 and 65535"))
}

fn read_server(
    options: &Options<'_>,
    host: String,
    numeric: Option<String>,
    port: u16,
    default_host: &str,
) -> Read<Server> {
    let refuse = |key, reason| Err(OptionError::bad_value(&options.path_of(key), reason));
    if host.contains(['@', '\0']) {
        return refuse("host", "must be host names, or directories of sockets");
    }
    if host.starts_with('/') {
        return Ok(Server {
            address: Address::Directory(PathBuf::from(host), port),
            numeric: None,
        });
    }
    if numeric
        .as_ref()
        .is_some_and(|numeric| numeric.parse::<IpAddr>().is_err())
    {
        return refuse("hostaddr", "must be IP addresses");
    }
    let default = || numeric.clone().unwrap_or_else(|| default_host.to_owned());
    let host = if host.is_empty() { default() } else { host };
    Ok(Server {
        address: Address::Host(host, port),
        numeric,
    })
}

/// Whether what is sent to it stays on this machine.
pub(super) fn is_local(server: &Server) -> bool {
    let Address::Host(host, _) = &server.address else {
        return true;
    };
    let reached = server.numeric.as_ref().unwrap_or(host);
    if let Ok(address) = reached.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let name = reached.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}
