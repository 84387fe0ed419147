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
const PROTOCOL_ERROR_CODE: u16 = 1002;
/// The close code of text that is not UTF-8, and of bytes that cannot be decompressed.
const INVALID_PAYLOAD_CODE: u16 = 1007;
/// The close code of a message over the limit.
const MESSAGE_TOO_BIG_CODE: u16 = 1009;

impl ProtocolError {
    pub(super) const UNEXPECTED_CONTINUATION: Self = protocol_error(
        "WS_ERR_INVALID_OPCODE",
        "the server sent a continuation frame without a message to continue",
    );
    pub(super) const EXPECTED_CONTINUATION: Self = protocol_error(
        "WS_ERR_INVALID_OPCODE",
        "the server started a message before the previous one was complete",
    );
    pub(super) const UNKNOWN_OPCODE: Self = protocol_error(
        "WS_ERR_INVALID_OPCODE",
        "the server sent a frame with an unknown opcode",
    );
    pub(super) const UNEXPECTED_MASK: Self = protocol_error(
        "WS_ERR_UNEXPECTED_MASK",
        "the server sent a masked frame, which only clients may send",
    );
    pub(super) const UNEXPECTED_RESERVED_BIT: Self = protocol_error(
        "WS_ERR_UNEXPECTED_RSV_2_3",
        "the server set a reserved bit of a frame",
    );
    pub(super) const UNEXPECTED_COMPRESSION: Self = protocol_error(
        "WS_ERR_UNEXPECTED_RSV_1",
        "the server sent a compressed frame where compression is not allowed",
    );
    pub(super) const FRAGMENTED_CONTROL: Self = protocol_error(
        "WS_ERR_EXPECTED_FIN",
        "the server sent a fragmented control frame",
    );
    pub(super) const INVALID_CONTROL_LENGTH: Self = protocol_error(
        "WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH",
        "the server sent a control frame of an invalid length",
    );
    pub(super) const INVALID_CLOSE_CODE: Self = protocol_error(
        "WS_ERR_INVALID_CLOSE_CODE",
        "the server sent an invalid close code",
    );
    pub(super) const INVALID_UTF8: Self = Self {
        close_code: INVALID_PAYLOAD_CODE,
        code: "WS_ERR_INVALID_UTF8",
        message: "the server sent text that is not UTF-8",
    };
    pub(super) const INVALID_DEFLATE: Self = Self {
        close_code: INVALID_PAYLOAD_CODE,
        code: "ERR_MOORLINE_PROTOCOL",
        message: "the server sent a compressed message that cannot be decompressed",
    };
    pub(super) const MESSAGE_TOO_LARGE: Self = Self {
        close_code: MESSAGE_TOO_BIG_CODE,
        code: "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH",
        message: "the server sent a message larger than maxMessageBytes",
    };
}

const fn protocol_error(code: &'static str, message: &'static str) -> ProtocolError {
    ProtocolError {
        close_code: PROTOCOL_ERROR_CODE,
        code,
        message,
    }
}

/// Whether a close frame may carry `code`: what RFC 6455 and its registry define, and what applications use.
pub(super) fn close_code_is_allowed(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
