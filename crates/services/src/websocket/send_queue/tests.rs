//! The order of messages and close frames, and their deliveries.

use super::*;

fn queue(messages: usize, bytes: usize) -> SendQueue {
    SendQueue::new(SendQueueConfig { messages, bytes }, false)
}

fn push_pending(
    queue: &mut SendQueue,
    text: &'static str,
) -> oneshot::Receiver<Result<(), Delivery>> {
    let (delivery_sender, delivery) = oneshot::channel();
    let bytes = Bytes::from_static(text.as_bytes());
    queue.push_pending(
        Message {
            bytes,
            is_text: true,
        },
        delivery_sender,
    );
    delivery
}

#[test]
fn messages_beyond_the_limit_wait_in_order() {
    let mut queue = queue(2, 1000);
    assert_eq!(queue.push(b"one", true), PushResult::Accepted);
    assert_eq!(queue.push(b"two", true), PushResult::Accepted);
    assert_eq!(queue.push(b"three", true), PushResult::Full);
    let mut third = push_pending(&mut queue, "three");
    let mut fourth = push_pending(&mut queue, "four");
    let one = queue.bytes().len() / 2;
    queue.advance(one);
    assert_eq!(
        queue.push(b"five", true),
        PushResult::Full,
        "others came before"
    );
    assert_eq!(third.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    queue.advance(queue.bytes().len());
    // What waited was accepted as soon as there was room, and now is written too.
    queue.advance(queue.bytes().len());
    for delivery in [&mut third, &mut fourth] {
        assert_eq!(delivery.try_recv(), Ok(Ok(())));
    }
    assert!(queue.is_empty());
}

#[test]
fn one_message_may_be_larger_than_the_whole_bound() {
    let mut queue = queue(10, 8);
    assert_eq!(queue.push(&[0; 100], false), PushResult::Accepted);
    assert_eq!(queue.push(b"x", false), PushResult::Full);
}

#[test]
fn nothing_was_delivered_only_where_no_byte_was_written() {
    let mut queue = queue(1, 1000);
    let mut first = push_pending(&mut queue, "first");
    let mut second = push_pending(&mut queue, "second");
    queue.advance(3);
    queue.end();
    assert_eq!(first.try_recv(), Ok(Err(Delivery::Unknown)));
    assert_eq!(second.try_recv(), Ok(Err(Delivery::None)));

    let mut unwritten = SendQueue::new(
        SendQueueConfig {
            messages: 9,
            bytes: 99,
        },
        false,
    );
    let mut delivery = push_pending(&mut unwritten, "x");
    unwritten.end();
    assert_eq!(delivery.try_recv(), Ok(Err(Delivery::None)));
}

#[test]
fn a_message_can_be_cancelled_until_it_is_accepted() {
    let mut queue = queue(1, 1000);
    assert_eq!(queue.push(b"one", true), PushResult::Accepted);
    let (delivery_sender, _delivery) = oneshot::channel();
    let bytes = Bytes::from_static(b"two");
    let ticket = queue.push_pending(
        Message {
            bytes,
            is_text: true,
        },
        delivery_sender,
    );
    assert!(queue.cancel(ticket));
    assert!(!queue.cancel(ticket));
    let frame = queue.bytes().len();
    queue.advance(frame);
    assert!(queue.is_empty());
}

#[test]
fn a_control_frame_goes_between_messages() {
    let mut queue = queue(10, 1000);
    queue.push(b"a", true);
    queue.push_control(Control::Ping, b"");
    queue.push(b"b", true);
    assert_eq!(queue.bytes()[7] & 0x0f, 9);
    queue.advance(7 + 6);
    assert!(!queue.is_empty());
    queue.advance(7);
    assert!(queue.is_empty());
}

#[test]
fn a_message_that_began_before_the_buffer_was_moved_has_begun() {
    let mut queue = queue(2, 1 << 20);
    let large: &'static str = Box::leak("x".repeat(2 * MAX_KEPT_BYTES).into_boxed_str());
    let mut first = push_pending(&mut queue, large);
    let mut second = push_pending(&mut queue, "second");
    // So much that what is written is cut off the buffer.
    queue.advance(MAX_KEPT_BYTES * 3 / 2);
    assert_eq!(queue.head, 0);
    queue.end();
    assert_eq!(first.try_recv(), Ok(Err(Delivery::Unknown)));
    assert_eq!(second.try_recv(), Ok(Err(Delivery::None)));
}

#[test]
fn nothing_follows_the_close_frame() {
    let mut queue = queue(1, 1000);
    queue.push(b"one", true);
    let mut pending = push_pending(&mut queue, "two");
    queue.push_close(b"");
    assert_eq!(pending.try_recv(), Ok(Err(Delivery::None)));
    let mut late = push_pending(&mut queue, "three");
    assert_eq!(late.try_recv(), Ok(Err(Delivery::None)));
    let all = queue.bytes().len();
    queue.advance(all);
    assert_eq!(queue.push(b"four", true), PushResult::Full);
    assert_eq!(queue.bytes(), b"");
}
