//! Renderers and window systems report what is missing by panicking; here that becomes a sentence.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Mutex, PoisonError};

/// Runs `attempt`; when it panics, returns what the first panic of any thread said, and prints nothing.
pub fn attempt<T>(attempt: impl FnOnce() -> T) -> Result<T, String> {
    let first: Arc<Mutex<Option<String>>> = Arc::default();
    let heard = Arc::clone(&first);
    let hook = take_hook();
    set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        // One line is enough: what follows are hints for developers.
        let sentence = message.lines().next().unwrap_or_default();
        heard.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| sentence.to_owned());
    }));
    let result = catch_unwind(AssertUnwindSafe(attempt));
    set_hook(hook);
    // The payload says what the hook heard, or less: the first panic is the one that tells why.
    result.map_err(|_payload| {
        first.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(|| "an unknown failure".into())
    })
}

/// What a message says before it goes into details: up to its first colon or exclamation mark.
pub fn gist(message: &str) -> &str {
    message.split([':', '!']).next().unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a panic, also one on another thread that is waited for, becomes its message.
    #[test]
    fn panics_become_sentences() {
        assert_eq!(attempt(|| 3), Ok(3));
        assert_eq!(attempt(|| panic!("no {}\nhint", "driver")).map(|()| 0), Err("no driver".into()));
        let elsewhere = attempt(|| std::thread::spawn(|| panic!("elsewhere")).join().unwrap());
        assert_eq!(elsewhere, Err("elsewhere".into()));
        assert_eq!(gist("no driver! install one"), "no driver");
    }
}
