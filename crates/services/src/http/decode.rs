//! Unpacking a body, within a limit.

use std::{io, sync::Arc};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderMap, header};
use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::Limit,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, BufReader},
    task,
};
use tokio_util::io::StreamReader;

use super::{
    answer::{Arriving, too_long},
    error::{Facts, Stage, Traffic},
};
use crate::dial::chain;

/// Unpacked at once: some 100 µs of CPU, after which others have their turn.
const PIECE_BYTES: usize = 32 << 10;
/// Nobody packs a body more often than this.
const MAX_LAYERS: usize = 3;

type Reader = Box<dyn AsyncRead + Send + Sync + Unpin>;

/// A body on its way through its decoders.
pub(super) struct Unpacker {
    reader: Reader,
    /// The last piece was as large as one may be, and more is likely there.
    full: bool,
    left: Limit<u64>,
    max: Limit<u64>,
    facts: Arc<Facts>,
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Brotli,
    Zstd,
    Deflate,
}

/// The packings of an answer, the last one applied first; `None` when there is nothing to do, or something
/// nobody asked for, which the caller then gets as it is.
pub(super) fn packings(headers: &HeaderMap) -> Option<Vec<Packing>> {
    let mut found = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in value.to_str().ok()?.split(',') {
            found.push(match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => Packing::Gzip,
                "br" => Packing::Brotli,
                "zstd" => Packing::Zstd,
                "deflate" => Packing::Deflate,
                "identity" | "" => continue,
                _ => return None,
            });
        }
    }
    found.reverse();
    (!found.is_empty() && found.len() <= MAX_LAYERS).then_some(found)
}

impl Unpacker {
    pub(super) fn new(
        arriving: Arriving,
        packings: &[Packing],
        max: Limit<u64>,
        facts: Arc<Facts>,
    ) -> Self {
        let mut reader: Reader = Box::new(StreamReader::new(arriving));
        for packing in packings {
            let packed = BufReader::new(reader);
            reader = match packing {
                Packing::Gzip => {
                    let mut decoder = GzipDecoder::new(packed);
                    decoder.multiple_members(true);
                    Box::new(decoder)
                }
                Packing::Brotli => Box::new(BrotliDecoder::new(packed)),
                Packing::Zstd => Box::new(ZstdDecoder::new(packed)),
                Packing::Deflate => Box::new(ZlibDecoder::new(packed)),
            };
        }
        Self {
            reader,
            full: false,
            left: max,
            max,
            facts,
        }
    }

    /// The next piece: what can be had at once, since more may be long in coming. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Outcome<Option<Bytes>> {
        if std::mem::take(&mut self.full) {
            task::yield_now().await;
        }
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        let mut read = self.reader.read_buf(&mut piece).await;
        while matches!(read, Ok(1..)) && piece.len() < PIECE_BYTES {
            let Some(more) = self.reader.read_buf(&mut piece).now_or_never() else {
                break;
            };
            read = more;
        }
        read.map_err(|error| self.failure(&error))?;
        if let Limit::At(left) = &mut self.left {
            let rest = left.checked_sub(piece.len() as u64);
            *left = rest.ok_or_else(|| too_long(&self.facts, "maxDecompressedBytes", self.max))?;
        }
        self.full = piece.len() >= PIECE_BYTES;
        Ok((!piece.is_empty()).then(|| piece.freeze()))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        if let Some(own) = chain(error).find_map(|it| it.downcast_ref::<Failure>()) {
            return own.clone();
        }
        let message = format!("the answer of {} cannot be unpacked", self.facts.peer);
        let failure = Failure::new(Kind::Protocol, message).with_cause(error.to_string(), None);
        self.facts.at(failure, Stage::Body, Traffic::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static str]) -> Option<Vec<Packing>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_ENCODING, value.parse().unwrap());
        }
        packings(&headers)
    }

    #[test]
    fn the_last_packing_is_the_first_to_go() {
        assert_eq!(of(&["gzip"]), Some(vec![Packing::Gzip]));
        assert_eq!(
            of(&["deflate, br"]),
            Some(vec![Packing::Brotli, Packing::Deflate])
        );
        assert_eq!(
            of(&["GZIP", "zstd"]),
            Some(vec![Packing::Zstd, Packing::Gzip])
        );
        for left_alone in [
            &[][..],
            &["identity"],
            &["compress"],
            &["gzip,gzip,gzip,gzip"],
        ] {
            assert_eq!(of(left_alone), None);
        }
    }
}
