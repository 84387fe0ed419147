//! Which addresses may be dialled: the guard against being talked into calling one's own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use moorline_core::{
    error::{Failure, Kind, Outcome},
    options::{OptionError, Plain, Read},
};

use super::target::Target;

/// The code of a refusal.
const CODE: &str = "ERR_MOORLINE_ADDRESS_REFUSED";

/// Refuses addresses that are not on the public internet (loopback, private, link-local with the clouds'
/// metadata services, shared, reserved, multicast), after the name was resolved, so that a name which points
/// inside is refused as well. Off by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressGuard(Option<Vec<Allowed>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Name(String),
    Net(IpNet),
}

impl AddressGuard {
    /// Public addresses and the allowed hosts: names, addresses and networks (`10.1.0.0/16`). `path` is for
    /// the message about a wrong one.
    pub fn public_only(path: &str, allowed_hosts: Option<&Plain>) -> Read<Self> {
        let items = match allowed_hosts {
            None | Some(Plain::Undefined) => &[],
            Some(Plain::List(items)) => items.as_slice(),
            Some(other) => return Err(OptionError::wrong_type(path, "an array", other)),
        };
        let read = |(index, item): (usize, &Plain)| match item {
            Plain::Text(host) if !host.is_empty() => Ok(Allowed::read(host)),
            other => {
                let path = format!("{path}[{index}]");
                Err(OptionError::wrong_type(&path, "a host", other))
            }
        };
        let allowed = items.iter().enumerate().map(read).collect::<Read<_>>()?;
        Ok(Self(Some(allowed)))
    }

    /// Whether anything is refused at all.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The addresses that may be dialled; a failure when none is left.
    pub fn admit(&self, target: &Target, addresses: Vec<SocketAddr>) -> Outcome<Vec<SocketAddr>> {
        let Some(allowed) = &self.0 else {
            return Ok(addresses);
        };
        let named = |one: &Allowed| matches!(one, Allowed::Name(name) if name.eq_ignore_ascii_case(&target.host));
        if allowed.iter().any(named) {
            return Ok(addresses);
        }
        let may = |address: &SocketAddr| {
            let ip = address.ip().to_canonical();
            is_public(ip)
                || allowed
                    .iter()
                    .any(|one| matches!(one, Allowed::Net(net) if net.contains(&ip)))
        };
        let left: Vec<_> = addresses.into_iter().filter(may).collect();
        if !left.is_empty() {
            return Ok(left);
        }
        let message = format!(
            "{} is not on the public internet, and not among the allowed hosts",
            target.authority()
        );
        Err(Failure::new(Kind::Connect, message)
            .with_code(CODE)
            .with_retryable(false))
    }
}

impl Allowed {
    fn read(host: &str) -> Self {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Self::Net(ip.into());
        }
        bare.parse()
            .map_or_else(|_| Self::Name(bare.to_owned()), Self::Net)
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// By the registry of special addresses (RFC 6890 and its updates).
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || matches!((a, b, c), (0 | 224.., ..))
        || matches!((a, b), (100, 64..=127) | (198, 18 | 19))
        || matches!((a, b, c), (192, 0, 0) | (192, 88, 99)))
}

/// Only global unicast (`2000::/3`) is; addresses that carry an IPv4 address are judged by that one.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let embedded = |high: u16, low: u16| {
        is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
    };
    match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // Teredo, benchmarking, ORCHID and documentation are assigned from the public range.
        [0x2001, 0 | 2 | 0x10..=0x3f | 0xdb8, ..] | [0x3fff, ..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(guard: &AddressGuard, host: &str, address: &str) -> bool {
        let target = Target {
            host: host.to_owned(),
            port: 80,
            secure: false,
        };
        let address = SocketAddr::new(address.parse().unwrap(), 80);
        guard.admit(&target, vec![address]).is_ok()
    }

    #[test]
    fn what_is_not_public_is_refused_whatever_its_name() {
        let guard = AddressGuard::public_only("allowedHosts", None).unwrap();
        let refused = [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "192.0.0.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:0:1::",
        ];
        for address in refused {
            assert!(!admitted(&guard, "evil.example", address), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.128.0.1",
            "2606:4700::1111",
            "64:ff9b::808:808",
        ] {
            assert!(admitted(&guard, "example.com", address), "{address}");
        }
    }

    #[test]
    fn allowed_are_names_addresses_and_networks() {
        let hosts = ["db.internal", "10.1.0.0/16", "[::1]"];
        let list = Plain::List(hosts.map(|host| Plain::Text(host.to_owned())).to_vec());
        let guard = AddressGuard::public_only("allowedHosts", Some(&list)).unwrap();
        assert!(admitted(&guard, "DB.internal", "192.168.0.9"));
        assert!(admitted(&guard, "other", "10.1.2.3"));
        assert!(admitted(&guard, "other", "::1"));
        assert!(!admitted(&guard, "other", "10.2.0.1"));
        assert!(!admitted(&guard, "not-db.internal", "192.168.0.9"));
    }

    #[test]
    fn a_refusal_is_proof_that_nothing_was_sent_and_is_not_worth_a_repeat() {
        let guard = AddressGuard::public_only("allowedHosts", None).unwrap();
        let target = Target {
            host: "metadata".to_owned(),
            port: 80,
            secure: false,
        };
        let address = "169.254.169.254:80".parse().unwrap();
        let failure = guard.admit(&target, vec![address]).unwrap_err();
        assert_eq!((failure.code.as_ref(), failure.retryable), (CODE, false));
        assert_eq!(failure.delivery, moorline_core::error::Delivery::None);
        assert!(
            AddressGuard::default()
                .admit(&target, vec![address])
                .is_ok()
        );
    }
}
