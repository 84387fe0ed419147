//! Locking without poisoning, as every crate here does it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, poisoned or not.
///
/// No state behind a mutex here is left half changed by a panic: what can panic either runs outside of the lock or does
/// not change the state. A panic is reported as [`crate::error::Failure::defect`] where it happened; to refuse all later
/// calls too would only spread it.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_under_the_lock_does_not_close_it() {
        let mutex = Mutex::new(1);
        std::thread::scope(|scope| {
            let panicked = scope.spawn(|| {
                let _locked = mutex.lock().unwrap();
                panic!("while the lock is held");
            });
            assert!(panicked.join().is_err());
        });
        assert!(mutex.is_poisoned());
        *lock(&mutex) += 1;
        assert_eq!(*lock(&mutex), 2);
    }
}
