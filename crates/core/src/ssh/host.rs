//! The host that is connected to, by the names that it has in `known_hosts`.

use std::net::Ipv6Addr;

/// The port for which a host stands under its bare name.
const DEFAULT_PORT: u16 = 22;

/// Characters that OpenSSH writes into no file, and those that would end the name in a line.
const UNWRITABLE: &[char] = &[
    '@', '?', '*', '#', '[', ']', '|', '\'', '"', '\\', ',', '!', ' ',
];

/// A host's name or address and port, in the form in which they are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    name: String,
    with_port: Option<String>,
}

impl HostName {
    /// Takes a name or address as the user wrote it, without brackets.
    pub fn new(name: &str, port: u16) -> Self {
        let name = shortest_address(name).unwrap_or_else(|| name.to_ascii_lowercase());
        let with_port = (port != DEFAULT_PORT).then(|| format!("[{name}]:{port}"));
        Self { name, with_port }
    }

    /// The name without the port, which is what certificates are made out to.
    pub fn bare(&self) -> &str {
        &self.name
    }

    /// The name it is looked up by first: with its port in brackets, unless that is 22.
    pub fn qualified(&self) -> &str {
        self.with_port.as_deref().unwrap_or(&self.name)
    }

    /// The name without its port, where [`HostName::qualified`] has one.
    pub(super) fn fallback(&self) -> Option<&str> {
        self.with_port.as_ref().map(|_| self.name.as_str())
    }

    /// Whether a line with this name would mean this name.
    pub(super) fn is_writable(&self) -> bool {
        let is_unfit = |character: char| character.is_control() || UNWRITABLE.contains(&character);
        !self.name.is_empty() && !self.name.contains(is_unfit)
    }
}

/// An IPv6 address in its shortest form, with its zone.
fn shortest_address(name: &str) -> Option<String> {
    let (address, zone) = match name.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (name, None),
    };
    let address: Ipv6Addr = address.parse().ok()?;
    Some(match zone {
        Some(zone) => format!("{address}%{zone}"),
        None => address.to_string(),
    })
}
