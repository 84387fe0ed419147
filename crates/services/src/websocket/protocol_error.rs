//! Protocol errors of the peer, with their close codes.

/// A breach of RFC 6455 or 7692 by the peer. The connection fails with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProtocolError {
    /// The close code that tells the peer.
    pub(super) close_code: u16,
    /// The code in the user's error; `ws` gives the same.
    pub(super) code: &'static str,
    /// One sentence for a person.
    pub(super) message: &'static str,
}

/// The close code of a breach of the protocol.
const PROTOCOL: u16 = 1002;
/// The close code of text that is not UTF-8, and of bytes that cannot be decompressed.
const PAYLOAD: u16 = 1007;
/// The close code of a message over the limit.
const TOO_LARGE: u16 = 1009;

impl ProtocolError {
    pub(super) const CONTINUATION: Self = protocol(
        "WS_ERR_INVALID_OPCODE",
        "the server sent a continuation frame without a message to continue",
    );
    pub(super) const INTERRUPTED: Self = protocol(
        "WS_ERR_INVALID_OPCODE",
        "the server started a message before the previous one was complete",
    );
    pub(super) const OPCODE: Self = protocol(
        "WS_ERR_INVALID_OPCODE",
        "the server sent a frame with an unknown opcode",
    );
    pub(super) const MASKED: Self = protocol(
        "WS_ERR_UNEXPECTED_MASK",
        "the server sent a masked frame, which only clients may send",
    );
    pub(super) const RESERVED: Self = protocol(
        "WS_ERR_UNEXPECTED_RSV_2_3",
        "the server set a reserved bit of a frame",
    );
    pub(super) const COMPRESSED: Self = protocol(
        "WS_ERR_UNEXPECTED_RSV_1",
        "the server sent a compressed frame where compression is not allowed",
    );
    pub(super) const CONTROL_FRAGMENT: Self = protocol(
        "WS_ERR_EXPECTED_FIN",
        "the server sent a fragmented control frame",
    );
    pub(super) const CONTROL_LENGTH: Self = protocol(
        "WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH",
        "the server sent a control frame of an invalid length",
    );
    pub(super) const CLOSE_CODE: Self = protocol(
        "WS_ERR_INVALID_CLOSE_CODE",
        "the server sent an invalid close code",
    );
    pub(super) const UTF8: Self = Self {
        close_code: PAYLOAD,
        code: "WS_ERR_INVALID_UTF8",
        message: "the server sent text that is not UTF-8",
    };
    pub(super) const DEFLATE: Self = Self {
        close_code: PAYLOAD,
        code: "ERR_MOORLINE_PROTOCOL",
        message: "the server sent a compressed message that cannot be decompressed",
    };
    pub(super) const MESSAGE_LENGTH: Self = Self {
        close_code: TOO_LARGE,
        code: "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH",
        message: "the server sent a message larger than maxMessageBytes",
    };
}

const fn protocol(code: &'static str, message: &'static str) -> ProtocolError {
    ProtocolError {
        close_code: PROTOCOL,
        code,
        message,
    }
}

/// Whether a close frame may carry `code`: what RFC 6455 and its registry define, and what applications use.
pub(super) fn close_code_is_allowed(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
