//! Happy eyeballs (RFC 8305): the addresses of a host, tried one after the other.
//!
//! The next one is tried without waiting long for one that does not answer.

use std::{collections::VecDeque, future::Future, io, net::SocketAddr, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};

/// How long an address has before the next is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// The first connection that is made; the others are dropped. Fails as the first address did, when all fail.
pub(super) async fn race<T, F, Fut>(addresses: Vec<SocketAddr>, connect: F) -> io::Result<T>
where
    F: Fn(SocketAddr) -> Fut,
    Fut: Future<Output = io::Result<T>>,
{
    let mut left = interleaved(addresses);
    let mut running = FuturesUnordered::new();
    let mut first_error = None;
    let mut next_at = Instant::now();
    loop {
        if running.is_empty() || Instant::now() >= next_at {
            match left.pop_front() {
                Some(address) => {
                    running.push(connect(address));
                    next_at = Instant::now() + STAGGER;
                }
                None if running.is_empty() => {
                    return Err(first_error.unwrap_or_else(no_address));
                }
                None => {}
            }
        }
        tokio::select! {
            biased;
            Some(outcome) = running.next() => match outcome {
                Ok(connection) => return Ok(connection),
                // The next one need not wait for its turn.
                Err(error) => {
                    first_error.get_or_insert(error);
                    next_at = Instant::now();
                }
            },
            () = sleep_until(next_at), if !left.is_empty() => {}
        }
    }
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address")
}

/// The families take turns, beginning with the one the system prefers.
fn interleaved(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let prefers_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == prefers_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = VecDeque::with_capacity(first.len() + second.len());
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return order;
        }
        order.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Mutex};

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_families_take_turns() {
        let order = interleaved(addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]));
        assert_eq!(
            order,
            addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_says_nothing_costs_a_quarter_of_a_second() {
        let began = Instant::now();
        let connect = async |address: SocketAddr| {
            if address.is_ipv6() {
                return pending().await;
            }
            Ok(address)
        };
        let won = race(addresses(&["[::1]:1", "1.1.1.1:1"]), connect).await;
        assert_eq!(won.unwrap(), "1.1.1.1:1".parse().unwrap());
        assert_eq!(began.elapsed(), STAGGER);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_refuses_costs_nothing_and_the_first_error_is_told() {
        let began = Instant::now();
        let asked = Mutex::new(0);
        let connect = async |address: SocketAddr| {
            *asked.lock().unwrap() += 1;
            let kind = if address.is_ipv6() {
                io::ErrorKind::ConnectionRefused
            } else {
                io::ErrorKind::NetworkUnreachable
            };
            io::Result::<()>::Err(kind.into())
        };
        let error = race(addresses(&["[::1]:1", "1.1.1.1:1"]), connect).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(
            (*asked.lock().unwrap(), began.elapsed()),
            (2, Duration::ZERO)
        );
    }

    #[tokio::test]
    async fn no_address_is_an_error_and_no_wait() {
        let error = race(Vec::new(), async |_| io::Result::Ok(())).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
