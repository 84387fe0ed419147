//! Packets through all ciphers, cut anywhere, changed, and random.

use proptest::prelude::*;

use super::{
    algorithm::{Cipher, Mac},
    cipher::PacketCipher,
    packet::{PacketReader, PacketWriter},
};

fn suites() -> Vec<(Cipher, Mac)> {
    Cipher::ALL
        .into_iter()
        .flat_map(|cipher| {
            let macs = if cipher.is_aead() { 1 } else { Mac::ALL.len() };
            Mac::ALL
                .into_iter()
                .take(macs)
                .map(move |mac| (cipher, mac))
        })
        .collect()
}

fn cipher((cipher, mac): (Cipher, Mac)) -> PacketCipher {
    let key: Vec<u8> = (0..cipher.key_bytes() as u8).collect();
    let iv = vec![7; cipher.iv_bytes()];
    PacketCipher::new(cipher, mac, &key, &iv, &vec![9; mac.tag_bytes()]).unwrap()
}

fn pair(suite: Option<(Cipher, Mac)>) -> (PacketWriter, PacketReader) {
    let (mut writer, mut reader) = (PacketWriter::new(), PacketReader::new());
    if let Some(suite) = suite {
        writer.rekey(cipher(suite), true);
        reader.rekey(cipher(suite), true);
    }
    (writer, reader)
}

fn feed(reader: &mut PacketReader, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let spare = reader.spare();
        let count = spare.len().min(bytes.len());
        spare[..count].copy_from_slice(&bytes[..count]);
        reader.filled(count);
        bytes = &bytes[count..];
    }
}

fn payloads() -> Vec<Vec<u8>> {
    [1, 2, 7, 8, 15, 16, 17, 100, 32_768 + 9, 3]
        .into_iter()
        .map(|length| (0..length).map(|index| (index % 251) as u8).collect())
        .collect()
}

fn sealed(writer: &mut PacketWriter) -> Vec<u8> {
    for payload in payloads() {
        writer.put(|out| out.extend(&payload)).unwrap();
    }
    writer.unsent().to_vec()
}

#[test]
fn packets_of_every_suite_are_read_back_however_they_are_cut() {
    let all = suites().into_iter().map(Some).chain([None]);
    for suite in all {
        let (mut writer, _) = pair(suite);
        let bytes = sealed(&mut writer);
        for piece in [1, 3, 16, 1000, bytes.len()] {
            let (_, mut reader) = pair(suite);
            let mut read = Vec::new();
            for piece in bytes.chunks(piece) {
                feed(&mut reader, piece);
                while let Some(packet) = reader.next_packet().unwrap() {
                    assert_eq!(packet.sequence_number as usize, read.len());
                    read.push(packet.payload);
                }
            }
            assert_eq!(read, payloads(), "{suite:?} in pieces of {piece}");
        }
    }
}

#[test]
fn a_changed_bit_anywhere_ends_it() {
    for suite in suites() {
        let (mut writer, _) = pair(Some(suite));
        writer.put(|out| out.extend(b"a short payload")).unwrap();
        let bytes = writer.unsent().to_vec();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let (_, mut reader) = pair(Some(suite));
            feed(&mut reader, &changed);
            // A length that is too long waits for more, which fails then.
            let read = reader.next_packet();
            assert!(!matches!(read, Ok(Some(_))), "{suite:?}, bit {bit}");
            if matches!(read, Ok(None)) {
                feed(&mut reader, &vec![0; 300_000]);
                assert!(reader.next_packet().is_err(), "{suite:?}, bit {bit}");
            }
        }
    }
}

#[test]
fn a_packet_that_is_repeated_or_left_out_is_refused() {
    for suite in suites() {
        let (mut writer, mut reader) = pair(Some(suite));
        let mut packets = Vec::new();
        for _ in 0..3 {
            writer.put(|out| out.extend(b"payload")).unwrap();
            packets.push(writer.unsent().to_vec());
            let count = writer.unsent().len();
            writer.advance(count);
        }
        feed(&mut reader, &packets[0]);
        assert!(reader.next_packet().unwrap().is_some());
        let other = if suite.0 == Cipher::Aes128Gcm { 0 } else { 2 };
        feed(&mut reader, &packets[other]);
        assert!(!matches!(reader.next_packet(), Ok(Some(_))), "{suite:?}");
    }
}

#[test]
fn impossible_lengths_and_paddings_are_refused() {
    let table: [&[u8]; 6] = [
        &[0, 0, 0, 0],
        &[0, 0, 0, 4, 3, 0, 0, 0],
        &[0, 0, 0, 13, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 4, 0, 4],
        &[0xff, 0xff, 0xff, 0xfc],
        &[0, 0, 0, 12, 11, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    for bytes in table {
        let (_, mut reader) = pair(None);
        feed(&mut reader, bytes);
        assert!(reader.next_packet().is_err(), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_are_never_a_packet(bytes in prop::collection::vec(any::<u8>(), 0..400), suite in 0usize..11) {
        let suites = suites();
        let (_, mut reader) = pair(Some(suites[suite % suites.len()]));
        feed(&mut reader, &bytes);
        prop_assert!(!matches!(reader.next_packet(), Ok(Some(_))));
    }

    #[test]
    fn random_plain_bytes_are_packets_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (_, mut reader) = pair(None);
        let framed = [[0, 0, 1, 12].as_slice(), bytes.as_slice()].concat();
        for bytes in [bytes, framed] {
            feed(&mut reader, &bytes);
            while let Ok(Some(packet)) = reader.next_packet() {
                prop_assert!(!packet.payload.is_empty());
            }
        }
    }
}
