//! The servers among which one is looked for.

use std::{net::IpAddr, path::PathBuf};

use moorline_core::options::{OptionError, Options, PlainValue, Read};

use crate::postgres::address::{Address, Server};

const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 5432;
/// As many as anybody has; each of them may be waited for.
const MAX_SERVERS: usize = 100;

/// Reads `host`, `hostaddr` and `port`: one each, or several that stand side by side.
pub(super) fn read(options: &Options<'_>) -> Read<Vec<Server>> {
    let hosts = list(options.text("host")?);
    let addresses = list(options.text("hostaddr")?);
    let ports = match options.value("port") {
        Some(PlainValue::Text(text)) => list(Some(text)),
        _ => vec![
            options
                .integer("port", DEFAULT_PORT.into(), 1..=u64::from(u16::MAX))?
                .to_string(),
        ],
    };
    let count = hosts.len().max(addresses.len());
    let fits = |list: &Vec<String>| list.len() == count;
    if count > MAX_SERVERS {
        let reason = format!("must be {MAX_SERVERS} hosts at most");
        return Err(OptionError::bad_value(&options.path_of("host"), reason));
    }
    if !fits(&addresses) && !is_absent(&addresses) || !fits(&hosts) && !is_absent(&hosts) {
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
        let port = read_port(&options.path_of("port"), port)?;
        let address = at(&addresses, place);
        let numeric = (!address.is_empty()).then_some(address);
        read_server(options, at(&hosts, place), numeric, port)
    };
    (0..count).map(server).collect()
}

/// The parts between commas; one that is empty stands for the default.
fn list(text: Option<&str>) -> Vec<String> {
    let parts = text.unwrap_or_default().split(',');
    parts.map(|part| part.trim().to_owned()).collect()
}

fn is_absent(list: &[String]) -> bool {
    matches!(list, [only] if only.is_empty())
}

fn read_port(path: &str, text: &str) -> Read<u16> {
    if text.is_empty() {
        return Ok(DEFAULT_PORT);
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
) -> Read<Server> {
    let refuse = |key, reason| Err(OptionError::bad_value(&options.path_of(key), reason));
    if host.contains(['@', '\0']) {
        return refuse("host", "must be host names, or directories of sockets");
    }
    if host.starts_with('/') {
        if options.value("tunnel").is_some() {
            return refuse("host", "cannot be a socket's directory with a tunnel");
        }
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
    let default = || numeric.clone().unwrap_or_else(|| DEFAULT_HOST.to_owned());
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
