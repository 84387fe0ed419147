//! KEXINIT (RFC 4253, section 7.1): what each side offers, and what is chosen.

use aws_lc_rs::rand;
use moorline_core::error::{Delivery, Failure, Kind};

use super::{host_key::HOST_KEY_ALGORITHMS, method::KeyExchangeMethod};
use crate::ssh::{
    config::SessionConfig,
    error::SessionError,
    message::KEXINIT,
    transport::{Cipher, Mac},
    wire::{Malformed, Reader, put_name_list},
};

/// Says that we read EXT_INFO (RFC 8308, section 2.1).
const EXT_INFO_CLIENT: &str = "ext-info-c";
/// Strict key exchange (draft-ietf-sshm-strict-kex), by its name and that of OpenSSH's PROTOCOL, section 1.9.
const STRICT_CLIENT: [&str; 2] = ["kex-strict-c", "kex-strict-c-v00@openssh.com"];
const STRICT_SERVER: [&str; 2] = ["kex-strict-s", "kex-strict-s-v00@openssh.com"];
/// The most names of the server's that an error lists.
const MAX_NAMES: usize = 30;

/// The algorithms of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DirectionAlgorithms {
    pub(crate) cipher: Cipher,
    /// Without meaning where the cipher authenticates by itself.
    pub(crate) mac: Mac,
}

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Negotiated {
    pub(crate) method: KeyExchangeMethod,
    pub(crate) host_key: &'static str,
    pub(crate) client_to_server: DirectionAlgorithms,
    pub(crate) server_to_client: DirectionAlgorithms,
    /// Whether the server's next packet is a wrong guess, to be ignored.
    pub(crate) skips_guess: bool,
    /// Whether the server has strict key exchange.
    pub(crate) is_strict: bool,
}

/// What we offer.
#[derive(Debug)]
pub(crate) struct Offer {
    methods: Vec<KeyExchangeMethod>,
    host_keys: Vec<&'static str>,
    ciphers: Vec<Cipher>,
    macs: Vec<Mac>,
}

impl Offer {
    pub(crate) fn new(config: &SessionConfig) -> Self {
        Self {
            methods: config.key_exchange_methods.clone(),
            host_keys: config
                .host_keys
                .order_algorithms(&config.host, &HOST_KEY_ALGORITHMS),
            ciphers: config.ciphers.clone(),
            macs: config.macs.clone(),
        }
    }

    /// Our KEXINIT. Only the first of a session has the names that are no methods.
    pub(crate) fn encode(&self, is_first: bool) -> Result<Vec<u8>, SessionError> {
        let mut cookie = [0; 16];
        rand::fill(&mut cookie)
            .map_err(|_| SessionError::violation("the system gives no random bytes"))?;
        let mut out = vec![KEXINIT];
        out.extend_from_slice(&cookie);
        let mut methods: Vec<_> = self.methods.iter().map(|method| method.name()).collect();
        if is_first {
            methods.push(EXT_INFO_CLIENT);
            methods.extend(STRICT_CLIENT);
        }
        put_name_list(&mut out, &methods);
        put_name_list(&mut out, &self.host_keys);
        let ciphers: Vec<_> = self.ciphers.iter().map(|cipher| cipher.name()).collect();
        let macs: Vec<_> = self.macs.iter().map(|mac| mac.name()).collect();
        for names in [&ciphers, &ciphers, &macs, &macs] {
            put_name_list(&mut out, names);
        }
        for names in [&["none"][..], &["none"], &[], &[]] {
            put_name_list(&mut out, names);
        }
        // No guess follows; reserved.
        out.extend_from_slice(&[0; 5]);
        Ok(out)
    }

    /// The choice: of each list the first of ours that the server has, too.
    pub(crate) fn choose(&self, server: &ServerOffer) -> Result<Negotiated, SessionError> {
        let method = *first_common(
            "key exchange method",
            &self.methods,
            |method| method.name(),
            &server.methods,
        )?;
        let host_key = *first_common(
            "host key algorithm",
            &self.host_keys,
            |name| name,
            &server.host_keys,
        )?;
        let is_guess_right = server.methods.first().map(String::as_str) == self.first_method()
            && server.host_keys.first().map(String::as_str) == self.host_keys.first().copied();
        Ok(Negotiated {
            method,
            host_key,
            client_to_server: self.choose_direction(&server.client_to_server)?,
            server_to_client: self.choose_direction(&server.server_to_client)?,
            skips_guess: server.has_guess && !is_guess_right,
            is_strict: server
                .methods
                .iter()
                .any(|name| STRICT_SERVER.contains(&name.as_str())),
        })
    }

    fn first_method(&self) -> Option<&'static str> {
        self.methods.first().map(|method| method.name())
    }

    fn choose_direction(
        &self,
        server: &DirectionOffer,
    ) -> Result<DirectionAlgorithms, SessionError> {
        let cipher = *first_common(
            "cipher",
            &self.ciphers,
            |cipher| cipher.name(),
            &server.ciphers,
        )?;
        let mac = if cipher.is_aead() {
            Mac::HmacSha256
        } else {
            *first_common("MAC", &self.macs, |mac| mac.name(), &server.macs)?
        };
        first_common("compression", &["none"], |name| name, &server.compression)?;
        Ok(DirectionAlgorithms { cipher, mac })
    }
}

fn first_common<'o, T>(
    what: &str,
    ours: &'o [T],
    name: impl Fn(&T) -> &'static str,
    theirs: &[String],
) -> Result<&'o T, SessionError> {
    let is_theirs = |one: &&T| theirs.iter().any(|other| *other == name(one));
    ours.iter().find(is_theirs).ok_or_else(|| {
        let offered = theirs.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>();
        let message = format!(
            "the SSH server has no {what} in common with us; it offers {}",
            offered.join(", ")
        );
        let failure = Failure::new(Kind::Protocol, message)
            .with_code("ERR_SSH_NO_COMMON_ALGORITHM")
            .with_delivery(Delivery::None)
            .with_detail("algorithm", what)
            .with_detail("offered", offered);
        SessionError::Refused(failure)
    })
}

/// What the server offers for one direction.
#[derive(Debug, Default)]
pub(crate) struct DirectionOffer {
    ciphers: Vec<String>,
    macs: Vec<String>,
    compression: Vec<String>,
}

/// The server's KEXINIT.
#[derive(Debug)]
pub(crate) struct ServerOffer {
    methods: Vec<String>,
    host_keys: Vec<String>,
    client_to_server: DirectionOffer,
    server_to_client: DirectionOffer,
    has_guess: bool,
}

impl ServerOffer {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        reader.take(1 + 16)?;
        let methods = reader.name_list()?;
        let host_keys = reader.name_list()?;
        let (mut client_to_server, mut server_to_client) =
            (DirectionOffer::default(), DirectionOffer::default());
        client_to_server.ciphers = reader.name_list()?;
        server_to_client.ciphers = reader.name_list()?;
        client_to_server.macs = reader.name_list()?;
        server_to_client.macs = reader.name_list()?;
        client_to_server.compression = reader.name_list()?;
        server_to_client.compression = reader.name_list()?;
        // The languages.
        reader.string()?;
        reader.string()?;
        Ok(Self {
            methods,
            host_keys,
            client_to_server,
            server_to_client,
            has_guess: reader.boolean()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use moorline_core::ssh::{HostKeyPolicy, HostName};
    use proptest::prelude::*;

    use super::*;

    fn offer() -> Offer {
        Offer::new(&SessionConfig::new(
            HostName::new("db", 22),
            HostKeyPolicy::Insecure,
            "me",
        ))
    }

    fn kexinit(lists: [&str; 10], has_guess: bool) -> Vec<u8> {
        let mut out = vec![KEXINIT];
        out.extend([7; 16]);
        for list in lists {
            put_name_list(&mut out, &[list]);
        }
        out.extend([u8::from(has_guess), 0, 0, 0, 0]);
        out
    }

    const LISTS: [&str; 10] = [
        "curve25519-sha256,ecdh-sha2-nistp256,kex-strict-s-v00@openssh.com",
        "rsa-sha2-512,ssh-ed25519",
        "aes128-ctr,aes128-gcm@openssh.com",
        "aes128-ctr",
        "hmac-sha2-512",
        "hmac-sha1,hmac-sha2-256",
        "zlib,none",
        "none",
        "",
        "",
    ];

    #[test]
    fn the_first_of_ours_that_the_server_has_is_chosen_for_each_direction() {
        let server = ServerOffer::parse(&kexinit(LISTS, false)).unwrap();
        let chosen = offer().choose(&server).unwrap();
        assert_eq!(
            chosen,
            Negotiated {
                method: KeyExchangeMethod::Curve25519,
                host_key: "ssh-ed25519",
                client_to_server: DirectionAlgorithms {
                    cipher: Cipher::Aes128Gcm,
                    mac: Mac::HmacSha256,
                },
                server_to_client: DirectionAlgorithms {
                    cipher: Cipher::Aes128Ctr,
                    mac: Mac::HmacSha256,
                },
                skips_guess: false,
                is_strict: true,
            }
        );
    }

    #[test]
    fn each_list_without_a_common_name_has_its_error() {
        let table = [
            (0, "key exchange method"),
            (1, "host key algorithm"),
            (2, "cipher"),
            (3, "cipher"),
            (5, "MAC"),
            (6, "compression"),
        ];
        for (index, what) in table {
            let mut lists = LISTS;
            lists[index] = "unknown@example.com";
            let server = ServerOffer::parse(&kexinit(lists, false)).unwrap();
            let Err(SessionError::Refused(failure)) = offer().choose(&server) else {
                panic!("{what}");
            };
            assert_eq!(failure.detail["algorithm"], what);
            assert_eq!(failure.detail["offered"][0], "unknown@example.com");
            assert_eq!(failure.code, "ERR_SSH_NO_COMMON_ALGORITHM");
        }
    }

    #[test]
    fn a_guess_is_skipped_unless_it_is_right() {
        let is_skipped = |lists| {
            let server = ServerOffer::parse(&kexinit(lists, true)).unwrap();
            offer().choose(&server).unwrap().skips_guess
        };
        assert!(is_skipped(LISTS));
        let mut lists = LISTS;
        lists[0] = "mlkem768x25519-sha256";
        lists[1] = "ssh-ed25519-cert-v01@openssh.com";
        assert!(!is_skipped(lists));
    }

    #[test]
    fn our_own_offer_can_be_read() {
        let encoded = offer().encode(true).unwrap();
        let read = ServerOffer::parse(&encoded).unwrap();
        assert!(read.methods.contains(&"ext-info-c".to_owned()));
        assert_eq!(read.client_to_server.compression, ["none"]);
        let again = ServerOffer::parse(&offer().encode(false).unwrap()).unwrap();
        assert_eq!(again.methods.len(), KeyExchangeMethod::ALL.len());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, cut in 0usize..300) {
            let _ = ServerOffer::parse(&bytes);
            let whole = kexinit(LISTS, false);
            let _ = ServerOffer::parse(&whole[..cut.min(whole.len())]);
        }
    }
}
