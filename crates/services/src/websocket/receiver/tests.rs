use proptest::prelude::*;

use super::*;
use crate::websocket::{batch::Entry, deflate::Deflater, permessage_deflate::Agreement};

const AGREEMENT: Agreement = Agreement {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_window_bits: 15,
    client_window_bits: 15,
};

/// A server's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(length as u8),
        length => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// Feeds `bytes` in pieces, as a driver does.
fn feed(
    receiver: &mut Receiver,
    bytes: &[u8],
    piece: usize,
) -> Result<ReceivedFrames, ProtocolError> {
    let mut got = ReceivedFrames::default();
    let mut unparsed = Vec::new();
    for part in bytes.chunks(piece) {
        unparsed.extend_from_slice(part);
        loop {
            let fed = receiver.feed(&unparsed, &mut got)?;
            unparsed.drain(..fed.consumed);
            if !fed.can_parse_more {
                break;
            }
        }
    }
    Ok(got)
}

fn protocol_error_of(bytes: &[u8]) -> ProtocolError {
    feed(&mut Receiver::new(1000, None), bytes, 1).unwrap_err()
}

proptest! {
    #[test]
    fn the_result_does_not_depend_on_the_cuts_of_the_stream(
        messages in prop::collection::vec((any::<bool>(), "\\PC{0,200}", 1_usize..60), 0..20),
        piece in 1_usize..100,
        compression: bool,
    ) {
        let mut deflater = compression.then(|| Deflater::new(&AGREEMENT)).flatten();
        let (mut wire, mut texts) = (Vec::new(), Vec::new());
        for (text, content, fragment) in &messages {
            let mut payload = content.as_bytes().to_vec();
            let mut first = if *text { 1 } else { 2 };
            if let (Some(deflater), false) = (&mut deflater, payload.is_empty()) {
                let mut deflated = Vec::new();
                deflater.feed(&payload, &mut deflated, true);
                payload = deflated;
                first |= 0x40;
            }
            for fragment in payload.chunks(*fragment) {
                wire.extend(frame(first, fragment));
                wire.extend(frame(0x89, b"ping"));
                first = 0;
            }
            wire.extend(frame(first | 0x80, b""));
            texts.push(content.as_bytes());
        }
        let inflater = compression.then(|| Inflater::new(&AGREEMENT));
        let received = feed(&mut Receiver::new(1000, inflater), &wire, piece).unwrap();
        let (mut text, mut binary) = (received.batch.text.as_slice(), received.batch.binary.as_slice());
        for (entry, content) in received.batch.entries.iter().zip(&texts) {
            let (pack, length) = match entry {
                Entry::Text(length) => {
                    text = text.strip_prefix(b",").unwrap();
                    (&mut text, *length)
                }
                Entry::Binary(length) => (&mut binary, *length),
                _ => unreachable!(),
            };
            prop_assert_eq!(&pack[..length], *content);
            *pack = &pack[length..];
        }
        prop_assert_eq!(received.batch.entries.len(), texts.len());
        prop_assert_eq!(received.controls.len() as u32, received.batch.pings);
    }

    #[test]
    fn any_bytes_give_messages_or_a_protocol_error(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        piece in 1_usize..50,
    ) {
        let mut receiver = Receiver::new(1000, Some(Inflater::new(&AGREEMENT)));
        let _ = feed(&mut receiver, &bytes, piece);
    }
}

#[test]
fn each_violation_has_its_own_error() {
    let begun = frame(1, b"a");
    let table = [
        (frame(0x80, b""), ProtocolError::UNEXPECTED_CONTINUATION),
        (
            [begun.clone(), frame(0x81, b"")].concat(),
            ProtocolError::EXPECTED_CONTINUATION,
        ),
        (frame(0x88, &[3]), ProtocolError::INVALID_CONTROL_LENGTH),
        (frame(0x88, &[3, 0xed]), ProtocolError::INVALID_CLOSE_CODE),
        (frame(0x88, &[3, 0xe8, 0xff]), ProtocolError::INVALID_UTF8),
        (frame(0x82, &[0; 1001]), ProtocolError::MESSAGE_TOO_LARGE),
        (
            [frame(2, &[0; 999]), frame(0x80, &[0; 2])].concat(),
            ProtocolError::MESSAGE_TOO_LARGE,
        ),
        (frame(0x81, &[0xc3]), ProtocolError::INVALID_UTF8),
    ];
    for (bytes, violation) in table {
        assert_eq!(protocol_error_of(&bytes), violation);
    }
}

#[test]
fn text_is_refused_at_its_first_wrong_byte() {
    // A surrogate, of a frame whose rest never comes.
    let mut wire = frame(1, &[b'x'; 200]);
    wire.truncate(10);
    wire.extend([0xed, 0xa0]);
    assert_eq!(protocol_error_of(&wire), ProtocolError::INVALID_UTF8);
}

#[test]
fn a_large_message_is_refused_before_it_comes() {
    assert_eq!(
        protocol_error_of(&[0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0]),
        ProtocolError::MESSAGE_TOO_LARGE
    );
}

#[test]
fn bytes_after_a_close_frame_are_ignored() {
    let wire = [frame(0x88, &[3, 0xe8, b'x']), frame(0x83, b"")].concat();
    let received = feed(&mut Receiver::new(1000, None), &wire, 3).unwrap();
    let expected = Control::Close(Some(1000), "x".to_owned());
    assert_eq!(received.controls, [expected]);
}
