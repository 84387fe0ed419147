//! Decoding of a response body, within a size limit.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use async_compression::tokio::bufread::{
    BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder,
};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderMap, header};
use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::Limit,
};
use tokio::{
    io::{AsyncBufRead, AsyncRead, AsyncReadExt, BufReader, ReadBuf},
    task,
};
use tokio_util::io::StreamReader;

use super::{
    error::{CallContext, Stage, Traffic},
    raw_body::{RawBody, too_long},
};
use crate::dial::chain;

/// Unpacked at once: some 100 µs of CPU, after which others have their turn.
const CHUNK_BYTES: usize = 32 << 10;
/// The most encodings of one body; more are not in use.
const MAX_LAYERS: usize = 3;

/// The number of bytes that show what "deflate" means this time.
const SNIFFED_BYTES: usize = 2;
/// The first byte of each member of a gzip file.
const GZIP_MARK: u8 = 0x1f;

type Reader = Box<dyn AsyncRead + Send + Sync + Unpin>;

/// A body on its way through its decoders.
pub(super) struct Decoder {
    /// The body and the encodings, until the first bytes are there and the decoders are made.
    encoded: Option<EncodedBody>,
    reader: Reader,
    /// The last piece was as large as one may be, and more is likely there.
    full: bool,
    left: Limit<u64>,
    max: Limit<u64>,
    context: Arc<CallContext>,
}

struct EncodedBody {
    raw: RawBody,
    /// The last one applied first.
    content_encodings: Vec<ContentEncoding>,
    head: Bytes,
}

/// The encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentEncoding {
    Gzip,
    Brotli,
    Zstd,
    Deflate,
}

/// The content encodings of a response, the last one applied first; `None` when there is nothing to do, or something
/// that was not asked for, which the caller then gets as it is.
pub(super) fn content_encodings(headers: &HeaderMap) -> Option<Vec<ContentEncoding>> {
    let mut found = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in value.to_str().ok()?.split(',') {
            found.push(match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => ContentEncoding::Gzip,
                "br" => ContentEncoding::Brotli,
                "zstd" => ContentEncoding::Zstd,
                "deflate" => ContentEncoding::Deflate,
                "identity" | "" => continue,
                _ => return None,
            });
        }
    }
    found.reverse();
    (!found.is_empty() && found.len() <= MAX_LAYERS).then_some(found)
}

impl Decoder {
    pub(super) fn new(
        raw: RawBody,
        content_encodings: Vec<ContentEncoding>,
        max: Limit<u64>,
        context: Arc<CallContext>,
    ) -> Self {
        Self {
            encoded: Some(EncodedBody {
                raw,
                content_encodings,
                head: Bytes::new(),
            }),
            reader: Box::new(tokio::io::empty()),
            full: false,
            left: max,
            max,
            context,
        }
    }

    /// Makes the decoders when the first bytes have come. Without any there is nothing to unpack.
    async fn open(&mut self) -> Outcome<()> {
        let Some(encoded) = &mut self.encoded else {
            return Ok(());
        };
        while encoded.head.len() < SNIFFED_BYTES {
            let Some(chunk) = encoded.raw.next().await.transpose()? else {
                break;
            };
            encoded.head = if encoded.head.is_empty() {
                chunk
            } else {
                [&encoded.head[..], &chunk[..]].concat().into()
            };
        }
        if let Some(encoded) = self.encoded.take_if(|encoded| !encoded.head.is_empty()) {
            self.reader = encoded.reader();
        }
        Ok(())
    }

    /// The next piece: what can be had at once, since more may be long in coming. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Outcome<Option<Bytes>> {
        if std::mem::take(&mut self.full) {
            task::yield_now().await;
        }
        self.open().await?;
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        let mut read = self.reader.read_buf(&mut chunk).await;
        while matches!(read, Ok(1..)) && chunk.len() < CHUNK_BYTES {
            let Some(more) = self.reader.read_buf(&mut chunk).now_or_never() else {
                break;
            };
            read = more;
        }
        read.map_err(|error| self.failure(&error))?;
        if let Limit::At(left) = &mut self.left {
            let rest = left.checked_sub(chunk.len() as u64);
            *left =
                rest.ok_or_else(|| too_long(&self.context, "maxDecompressedBytes", self.max))?;
        }
        self.full = chunk.len() >= CHUNK_BYTES;
        Ok((!chunk.is_empty()).then(|| chunk.freeze()))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        if let Some(own) = chain(error).find_map(|it| it.downcast_ref::<Failure>()) {
            return own.clone();
        }
        let message = format!("the response of {} cannot be decoded", self.context.peer);
        let failure = Failure::new(Kind::Protocol, message).with_cause(error.to_string(), None);
        self.context
            .annotate(failure, Stage::Body, Traffic::default())
    }
}

impl EncodedBody {
    fn reader(self) -> Reader {
        let mut is_zlib = is_zlib(&self.head);
        let rest = StreamReader::new(self.raw);
        let mut reader: Reader = Box::new(Paced::new(io::Cursor::new(self.head).chain(rest)));
        for packing in self.content_encodings {
            let encoded = BufReader::new(reader);
            reader = match packing {
                ContentEncoding::Gzip => Box::new(Members(GzipDecoder::new(encoded))),
                ContentEncoding::Brotli => Box::new(BrotliDecoder::new(encoded)),
                ContentEncoding::Zstd => {
                    let mut decoder = ZstdDecoder::new(encoded);
                    decoder.multiple_members(true);
                    Box::new(decoder)
                }
                ContentEncoding::Deflate if is_zlib => Box::new(ZlibDecoder::new(encoded)),
                ContentEncoding::Deflate => Box::new(DeflateDecoder::new(encoded)),
            };
            // Only the outermost packing is seen before it is decoded.
            is_zlib = true;
        }
        reader
    }
}

/// "deflate" is zlib's format by the standard, and bare in the answers of some servers.
fn is_zlib(head: &[u8]) -> bool {
    let [first, second, ..] = *head else {
        return true;
    };
    first & 0x0f == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

/// Waits a turn after each read: a decoder may take any number of them before it gives something out.
struct Paced<R> {
    inner: R,
    due: bool,
}

impl<R> Paced<R> {
    fn new(inner: R) -> Self {
        Self { inner, due: false }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Paced<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.due) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        self.due = buffer.filled().len() > before;
        Poll::Ready(Ok(()))
    }
}

/// The members of a gzip file, one after the other. Bytes after them that are no member are padding, as gzip itself
/// treats them.
struct Members(GzipDecoder<BufReader<Reader>>);

impl AsyncRead for Members {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.0).poll_read(context, buffer))?;
            if buffer.filled().len() > before || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let rest = ready!(Pin::new(self.0.get_mut()).poll_fill_buf(context))?;
            if rest.first() != Some(&GZIP_MARK) {
                return Poll::Ready(Ok(()));
            }
            let none = GzipDecoder::new(BufReader::new(Box::new(tokio::io::empty()) as Reader));
            let encoded = std::mem::replace(&mut self.0, none).into_inner();
            self.0 = GzipDecoder::new(encoded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static str]) -> Option<Vec<ContentEncoding>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_ENCODING, value.parse().unwrap());
        }
        content_encodings(&headers)
    }

    #[test]
    fn the_two_formats_called_deflate_are_told_apart() {
        for zlib in [[0x78, 0x01], [0x78, 0x9c], [0x78, 0xda]] {
            assert!(is_zlib(&zlib), "{zlib:x?}");
        }
        for bare in [[0x4b, 0x4c], [0xcb, 0x48], [0x03, 0x00], [0x78, 0x02]] {
            assert!(!is_zlib(&bare), "{bare:x?}");
        }
    }

    #[test]
    fn the_last_packing_is_the_first_to_go() {
        assert_eq!(of(&["gzip"]), Some(vec![ContentEncoding::Gzip]));
        assert_eq!(
            of(&["deflate, br"]),
            Some(vec![ContentEncoding::Brotli, ContentEncoding::Deflate])
        );
        assert_eq!(
            of(&["GZIP", "zstd"]),
            Some(vec![ContentEncoding::Zstd, ContentEncoding::Gzip])
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
