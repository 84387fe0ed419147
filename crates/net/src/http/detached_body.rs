//! A body that is read from the socket without hyper, whose buffers and channel cost 27 KB for as long as a response is
//! open. An event stream is open for hours and mostly silent.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use tokio::io::{AsyncRead, ReadBuf};

use super::chunked::ChunkedDecoder;

/// The most bytes of one read. They come to the stack first, so that a connection without any has no buffer.
const READ_BYTES: usize = 16 << 10;

/// The body of a response over HTTP/1, behind its head.
pub(super) struct DetachedBody<R> {
    reader: R,
    framing: Framing,
    /// The bytes that come after those before it.
    failure: Option<io::Error>,
}

/// How a body ends (RFC 9112, section 6.3).
pub(super) enum Framing {
    /// After so many more bytes.
    Length(u64),
    Chunked(ChunkedDecoder),
    /// When the server closes the connection.
    UntilClose,
    /// It has ended.
    Over,
}

impl Framing {
    /// The framing of a response that has a body, whose head was accepted by hyper; `length` is what hyper expects.
    pub(super) fn new(length: Option<u64>, headers: &HeaderMap) -> Self {
        if let Some(length) = length {
            return Self::Length(length);
        }
        let codings = headers
            .get_all(header::TRANSFER_ENCODING)
            .iter()
            .next_back();
        let last =
            codings.and_then(|codings| codings.as_bytes().rsplit(|byte| *byte == b',').next());
        if last.is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked")) {
            Self::Chunked(ChunkedDecoder::default())
        } else {
            Self::UntilClose
        }
    }

    /// The bytes that may be read at once.
    fn room(&self) -> usize {
        match self {
            Self::Length(left) => READ_BYTES.min(usize::try_from(*left).unwrap_or(READ_BYTES)),
            _ => READ_BYTES,
        }
    }

    /// The bytes of the body among those that were read, and the error that follows them.
    fn decode(&mut self, read: &[u8]) -> (Bytes, Option<io::Error>) {
        match self {
            Self::Length(left) => *left = left.saturating_sub(read.len() as u64),
            Self::Chunked(decoder) => {
                let mut data = BytesMut::with_capacity(read.len());
                let failure = decoder.decode(read, &mut data).err();
                return (data.freeze(), failure);
            }
            Self::UntilClose | Self::Over => {}
        }
        (Bytes::copy_from_slice(read), None)
    }
}

impl<R: AsyncRead + Unpin> DetachedBody<R> {
    pub(super) fn new(reader: R, framing: Framing) -> Self {
        Self {
            reader,
            framing,
            failure: None,
        }
    }

    /// Whether all of it was read.
    pub(super) fn is_over(&self) -> bool {
        let at_end = match &self.framing {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(decoder) => decoder.is_over(),
            Framing::UntilClose => false,
            Framing::Over => true,
        };
        at_end && self.failure.is_none()
    }

    /// The bytes that are known to come.
    pub(super) fn missing(&self) -> u64 {
        match self.framing {
            Framing::Length(left) => left,
            _ => 0,
        }
    }

    /// The next bytes; `None` at the end, and after an error.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        while !self.is_over() {
            if let Some(failure) = self.failure.take() {
                self.framing = Framing::Over;
                return Poll::Ready(Some(Err(failure)));
            }
            let mut space = [MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut space[..self.framing.room()]);
            let read = ready!(Pin::new(&mut self.reader).poll_read(context, &mut buffer));
            if let Err(error) = read.and_then(|()| self.check_end(buffer.filled())) {
                self.failure = Some(error);
                continue;
            }
            let (data, failure) = self.framing.decode(buffer.filled());
            self.failure = failure;
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(data)));
            }
        }
        Poll::Ready(None)
    }

    /// Without any bytes the connection was closed.
    fn check_end(&mut self, read: &[u8]) -> io::Result<()> {
        if !read.is_empty() {
            return Ok(());
        }
        if matches!(self.framing, Framing::UntilClose) {
            self.framing = Framing::Over;
            return Ok(());
        }
        let message = "end of file before message length reached";
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, message))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http::HeaderValue;
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn framing(length: Option<u64>, codings: &[&'static str]) -> Framing {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(header::TRANSFER_ENCODING, HeaderValue::from_static(coding));
        }
        Framing::new(length, &headers)
    }

    /// The bytes of a body that is sent in two parts, and the kind of the error at its end.
    async fn read(framing: Framing, parts: [&[u8]; 2]) -> (Vec<u8>, Option<io::ErrorKind>) {
        let (mut server, client) = tokio::io::duplex(1 << 20);
        let mut body = DetachedBody::new(client, framing);
        let mut data = Vec::new();
        server.write_all(parts[0]).await.unwrap();
        let mut noop = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(Ok(bytes))) = body.poll_next(&mut noop) {
            data.extend(bytes);
        }
        server.write_all(parts[1]).await.unwrap();
        drop(server);
        let mut failure = None;
        while let Some(next) = std::future::poll_fn(|context| body.poll_next(context)).await {
            match next {
                Ok(bytes) => data.extend(bytes),
                Err(error) => failure = Some(error.kind()),
            }
        }
        assert!(body.is_over());
        (data, failure)
    }

    #[test]
    fn the_last_coding_says_how_a_body_ends() {
        assert!(matches!(framing(Some(3), &[]), Framing::Length(3)));
        assert!(matches!(framing(None, &[]), Framing::UntilClose));
        for chunked in [&["chunked"][..], &["gzip, CHUNKED "], &["gzip", "chunked"]] {
            assert!(
                matches!(framing(None, chunked), Framing::Chunked(_)),
                "{chunked:?}"
            );
        }
        for other in [&["chunked, gzip"][..], &["chunked", "gzip"], &["xchunked"]] {
            assert!(
                matches!(framing(None, other), Framing::UntilClose),
                "{other:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_length_and_no_further() {
        for cut in 0..=5 {
            let (first, second) = b"hello".split_at(cut);
            assert_eq!(
                read(framing(Some(5), &[]), [first, second]).await,
                (b"hello".to_vec(), None)
            );
        }
        let (mut server, client) = tokio::io::duplex(64);
        server.write_all(b"hello, and more").await.unwrap();
        let mut body = DetachedBody::new(client, framing(Some(5), &[]));
        let mut noop = Context::from_waker(Waker::noop());
        assert_eq!(body.missing(), 5);
        let Poll::Ready(Some(Ok(bytes))) = body.poll_next(&mut noop) else {
            panic!("no bytes");
        };
        assert_eq!(
            (&bytes[..], body.is_over(), body.missing()),
            (&b"hello"[..], true, 0)
        );
        assert!(matches!(body.poll_next(&mut noop), Poll::Ready(None)));
    }

    #[tokio::test]
    async fn a_body_until_close_ends_with_the_connection() {
        let long = vec![b'x'; READ_BYTES * 3];
        assert_eq!(
            read(framing(None, &[]), [&long, b"y"]).await,
            ([&long[..], b"y"].concat(), None)
        );
    }

    #[tokio::test]
    async fn an_early_end_is_an_error_behind_what_came() {
        let eof = Some(io::ErrorKind::UnexpectedEof);
        assert_eq!(
            read(framing(Some(6), &[]), [b"hel", b"lo"]).await,
            (b"hello".to_vec(), eof)
        );
        let sent = b"5\r\nhello\r\n0\r\nx: y\r\n\r\n";
        for end in 0..sent.len() {
            let (data, failure) = read(framing(None, &["chunked"]), [&sent[..end], b""]).await;
            assert!(b"hello".starts_with(&data[..]));
            assert_eq!(failure, eof, "after {end} bytes");
        }
    }

    #[tokio::test]
    async fn wrong_chunks_are_an_error_behind_the_right_ones() {
        let (data, failure) =
            read(framing(None, &["chunked"]), [b"", b"1\r\na\r\n1\r\nb\r\nx"]).await;
        assert_eq!(
            (data.as_slice(), failure),
            (&b"ab"[..], Some(io::ErrorKind::InvalidData))
        );
    }
}
