//! The policy of addresses that may be dialled: protection against SSRF.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use moorline_core::{
    connection::security::PlainText,
    error::{Failure, Kind, Outcome},
    options::{OptionError, Options, PlainValue, Read},
    resolve::Endpoint,
};

use super::target::Target;

/// The codes of refusals.
const ADDRESS: &str = "ERR_MOORLINE_ADDRESS_REFUSED";
const PLAIN_TEXT: &str = "ERR_MOORLINE_PLAIN_TEXT_REFUSED";

/// Refuses addresses that are not on the public internet (loopback, private, link-local with the clouds'
/// metadata services, shared, reserved, multicast), after the name was resolved, so that a name which points
/// inside is refused as well; and plain text where it must not go. Off by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// The hosts reached beside the public internet; `None`: everything.
    allowed: Option<Vec<Allowed>>,
    plain_text: PlainText,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Name(String),
    Net(IpNet),
}

impl AddressPolicy {
    /// Reads `allowedHosts`: names, addresses and networks (`10.1.0.0/16`) that are reached although they are not
    /// on the public internet. Without `public_only` everything is.
    pub fn read(options: &Options<'_>, public_only: bool, plain_text: PlainText) -> Read<Self> {
        let items = options.list("allowedHosts")?.unwrap_or_default();
        let read = |(index, item): (usize, &PlainValue)| match item {
            PlainValue::Text(host) if !host.is_empty() => Ok(Allowed::read(host)),
            other => {
                let path = format!("{}[{index}]", options.path_of("allowedHosts"));
                Err(OptionError::wrong_type(&path, "a host", other))
            }
        };
        let allowed: Vec<_> = items.iter().enumerate().map(read).collect::<Read<_>>()?;
        Ok(Self {
            allowed: public_only.then_some(allowed),
            plain_text,
        })
    }

    /// Whether the addresses of this target are judged.
    pub fn concerns(&self, target: &Target) -> bool {
        self.allowed.is_some() || self.is_local(target)
    }

    /// Whether what is said to this target must not leave this machine.
    pub fn is_local(&self, target: &Target) -> bool {
        self.plain_text == PlainText::Loopback && !target.secure
    }

    /// Judges a target before its name is looked up.
    pub fn check(&self, target: &Target) -> Outcome<()> {
        if self.plain_text == PlainText::Nowhere && !target.secure {
            return Err(plain_text_refused(target, ""));
        }
        Ok(())
    }

    /// The endpoints that may be dialled; a failure when none is left.
    pub fn admit(&self, target: &Target, mut endpoints: Vec<Endpoint>) -> Outcome<Vec<Endpoint>> {
        let ip = |endpoint: &Endpoint| endpoint.address.ip().to_canonical();
        if self.is_local(target) {
            endpoints.retain(|endpoint| ip(endpoint).is_loopback());
            if endpoints.is_empty() {
                return Err(plain_text_refused(
                    target,
                    ": the host has no loopback address",
                ));
            }
        }
        let Some(allowed) = &self.allowed else {
            return Ok(endpoints);
        };
        let named = |one: &Allowed| matches!(one, Allowed::Name(name) if name.eq_ignore_ascii_case(&target.host));
        if allowed.iter().any(named) {
            return Ok(endpoints);
        }
        let may = |endpoint: &Endpoint| {
            let ip = ip(endpoint);
            is_public(ip)
                || allowed
                    .iter()
                    .any(|one| matches!(one, Allowed::Net(net) if net.contains(&ip)))
        };
        endpoints.retain(may);
        if !endpoints.is_empty() {
            return Ok(endpoints);
        }
        let message = format!(
            "{} has no public address, and is not in customSecurityOptions.allowedHosts",
            target.authority()
        );
        Err(refusal_failure(message, ADDRESS))
    }
}

fn plain_text_refused(target: &Target, reason: &str) -> Failure {
    let message = format!(
        "plain text to {} is forbidden by the security level{reason}",
        target.authority()
    );
    refusal_failure(message, PLAIN_TEXT)
}

fn refusal_failure(message: String, code: &'static str) -> Failure {
    Failure::new(Kind::Connect, message)
        .with_code(code)
        .with_retryable(false)
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
    use std::net::SocketAddr;

    use super::*;

    fn public_only(hosts: &[&str]) -> AddressPolicy {
        let hosts = hosts
            .iter()
            .map(|host| PlainValue::Text((*host).to_owned()));
        let map = PlainValue::Map(vec![(
            "allowedHosts".to_owned(),
            PlainValue::List(hosts.collect()),
        )]);
        let options = Options::new("options", &map).unwrap();
        AddressPolicy::read(&options, true, PlainText::Anywhere).unwrap()
    }

    fn admitted(address_policy: &AddressPolicy, host: &str, address: &str) -> bool {
        let target = Target {
            host: host.to_owned(),
            port: 80,
            secure: false,
        };
        let address = SocketAddr::new(address.parse().unwrap(), 80);
        address_policy.admit(&target, vec![address.into()]).is_ok()
    }

    #[test]
    fn what_is_not_public_is_refused_whatever_its_name() {
        let address_policy = public_only(&[]);
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
            assert!(
                !admitted(&address_policy, "evil.example", address),
                "{address}"
            );
        }
        for address in [
            "1.1.1.1",
            "100.128.0.1",
            "2606:4700::1111",
            "64:ff9b::808:808",
        ] {
            assert!(
                admitted(&address_policy, "example.com", address),
                "{address}"
            );
        }
    }

    #[test]
    fn allowed_are_names_addresses_and_networks() {
        let address_policy = public_only(&["db.internal", "10.1.0.0/16", "[::1]"]);
        assert!(admitted(&address_policy, "DB.internal", "192.168.0.9"));
        assert!(admitted(&address_policy, "other", "10.1.2.3"));
        assert!(admitted(&address_policy, "other", "::1"));
        assert!(!admitted(&address_policy, "other", "10.2.0.1"));
        assert!(!admitted(&address_policy, "not-db.internal", "192.168.0.9"));
    }

    #[test]
    fn a_refusal_is_proof_that_nothing_was_sent_and_is_not_worth_a_repeat() {
        let address_policy = public_only(&[]);
        let target = Target {
            host: "metadata".to_owned(),
            port: 80,
            secure: false,
        };
        let address: SocketAddr = "169.254.169.254:80".parse().unwrap();
        let endpoint = Endpoint::from(address);
        let failure = address_policy.admit(&target, vec![endpoint]).unwrap_err();
        assert_eq!((failure.code.as_ref(), failure.retryable), (ADDRESS, false));
        assert_eq!(failure.delivery, moorline_core::error::Delivery::None);
        assert!(
            AddressPolicy::default()
                .admit(&target, vec![endpoint])
                .is_ok()
        );
    }

    #[test]
    fn plain_text_goes_where_it_may() {
        let address_policy = |plain_text| AddressPolicy {
            allowed: None,
            plain_text,
        };
        let endpoint = |address: &str| Endpoint::from(address.parse::<SocketAddr>().unwrap());
        let (near, far) = (endpoint("127.0.0.1:80"), endpoint("1.1.1.1:80"));
        let target = |secure| Target {
            host: "both".to_owned(),
            port: 80,
            secure,
        };
        let plain = target(false);
        let loopback = address_policy(PlainText::Loopback);
        assert_eq!(loopback.admit(&plain, vec![far, near]), Ok(vec![near]));
        let failure = loopback.admit(&plain, vec![far]).unwrap_err();
        assert_eq!(failure.code, PLAIN_TEXT);
        assert!(loopback.admit(&target(true), vec![far]).is_ok());
        let nowhere = address_policy(PlainText::Nowhere);
        assert_eq!(nowhere.check(&plain).unwrap_err().code, PLAIN_TEXT);
        assert!(nowhere.check(&target(true)).is_ok());
        assert!(address_policy(PlainText::Anywhere).check(&plain).is_ok());
    }
}
