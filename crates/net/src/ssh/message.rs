//! Numbers of messages (RFC 4250, section 4.1), and those whose contents several parts need.

use super::wire::{Malformed, Reader, printable, put_string};

pub(crate) const DISCONNECT: u8 = 1;
pub(crate) const IGNORE: u8 = 2;
pub(crate) const UNIMPLEMENTED: u8 = 3;
pub(crate) const DEBUG: u8 = 4;
pub(crate) const SERVICE_REQUEST: u8 = 5;
pub(crate) const SERVICE_ACCEPT: u8 = 6;
/// RFC 8308, section 2.3.
pub(crate) const EXT_INFO: u8 = 7;
pub(crate) const KEXINIT: u8 = 20;
pub(crate) const NEWKEYS: u8 = 21;
/// RFC 5656, section 4; the hybrid methods use the same number.
pub(crate) const KEX_ECDH_INIT: u8 = 30;
pub(crate) const KEX_ECDH_REPLY: u8 = 31;
pub(crate) const USERAUTH_REQUEST: u8 = 50;
pub(crate) const USERAUTH_FAILURE: u8 = 51;
pub(crate) const USERAUTH_SUCCESS: u8 = 52;
pub(crate) const USERAUTH_BANNER: u8 = 53;
/// The answer of a method that is under way: RFC 4252, section 7 (public key) and 8 (password), RFC 4256, section 3.2.
pub(crate) const USERAUTH_METHOD_REPLY: u8 = 60;
/// RFC 4256, section 3.4.
pub(crate) const USERAUTH_INFO_RESPONSE: u8 = 61;
pub(crate) const GLOBAL_REQUEST: u8 = 80;
pub(crate) const REQUEST_SUCCESS: u8 = 81;
pub(crate) const REQUEST_FAILURE: u8 = 82;
pub(crate) const CHANNEL_OPEN: u8 = 90;
pub(crate) const CHANNEL_OPEN_CONFIRMATION: u8 = 91;
pub(crate) const CHANNEL_OPEN_FAILURE: u8 = 92;
pub(crate) const CHANNEL_WINDOW_ADJUST: u8 = 93;
pub(crate) const CHANNEL_DATA: u8 = 94;
pub(crate) const CHANNEL_EXTENDED_DATA: u8 = 95;
pub(crate) const CHANNEL_EOF: u8 = 96;
pub(crate) const CHANNEL_CLOSE: u8 = 97;
pub(crate) const CHANNEL_REQUEST: u8 = 98;
pub(crate) const CHANNEL_SUCCESS: u8 = 99;
pub(crate) const CHANNEL_FAILURE: u8 = 100;

/// RFC 4253, section 11.1.
pub(crate) const DISCONNECT_PROTOCOL_ERROR: u32 = 2;
pub(crate) const DISCONNECT_BY_APPLICATION: u32 = 11;
pub(crate) const DISCONNECT_NO_MORE_AUTH_METHODS: u32 = 14;

/// The longest text of the server's that is passed on in an error.
const MAX_TEXT: usize = 500;

/// The server's DISCONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disconnect {
    pub(crate) reason: u32,
    pub(crate) description: String,
}

impl Disconnect {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        reader.byte()?;
        Ok(Self {
            reason: reader.uint32()?,
            // Some servers leave the text out.
            description: printable(reader.string().unwrap_or_default(), MAX_TEXT),
        })
    }
}

/// Our DISCONNECT.
pub(crate) fn disconnect(reason: u32, description: &str) -> Vec<u8> {
    let mut out = vec![DISCONNECT];
    out.extend(reason.to_be_bytes());
    put_string(&mut out, description.as_bytes());
    put_string(&mut out, b"");
    out
}

/// The answer to a message that is not known (RFC 4253, section 11.4).
pub(crate) fn unimplemented(sequence_number: u32) -> Vec<u8> {
    let mut out = vec![UNIMPLEMENTED];
    out.extend(sequence_number.to_be_bytes());
    out
}

/// The algorithms in `server-sig-algs` of an EXT_INFO (RFC 8308, section 3.1), when it has them.
pub(crate) fn server_sig_algs(payload: &[u8]) -> Result<Option<Vec<String>>, Malformed> {
    let mut reader = Reader::new(payload);
    reader.byte()?;
    let count = reader.uint32()?;
    for _ in 0..count {
        let name = reader.string()?;
        if name == b"server-sig-algs" {
            return reader.name_list().map(Some);
        }
        reader.string()?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn extensions_are_read_in_any_order() {
        let mut payload = vec![EXT_INFO, 0, 0, 0, 2];
        for text in [
            "publickey-hostbound@openssh.com",
            "0",
            "server-sig-algs",
            "ssh-ed25519,rsa-sha2-512",
        ] {
            put_string(&mut payload, text.as_bytes());
        }
        let names = server_sig_algs(&payload).unwrap().unwrap();
        assert_eq!(names, ["ssh-ed25519", "rsa-sha2-512"]);
        payload[4] = 255;
        assert!(server_sig_algs(&payload).unwrap().is_some());
        assert_eq!(server_sig_algs(&[EXT_INFO, 255, 0, 0, 0]), Err(Malformed));
    }

    #[test]
    fn a_disconnect_is_read_back_and_its_text_made_printable() {
        let read = Disconnect::parse(&disconnect(11, "by\x1b[31m\0 us")).unwrap();
        assert_eq!(read.reason, 11);
        assert_eq!(read.description, "by[31m us");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = (Disconnect::parse(&bytes), server_sig_algs(&bytes));
        }
    }
}
