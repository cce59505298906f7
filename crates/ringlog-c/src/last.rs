//! Why a call failed: as a code, and as the last error of its thread.

use crate::abi::code;
use ringlog::{Error, Full};
use ringlog_call::CallError;
use std::cell::RefCell;
use std::ffi::c_char;
use std::fmt::{self, Write};

/// Why a call failed.
#[derive(Debug)]
pub enum Why {
    Log(Error),
    /// Kept as it is, and made a text when it is asked for: an engine may try again and again.
    Full(Full),
    Call(CallError),
    /// The caller of a body's handler, or this library, went wrong in a way that has no other name.
    Panic,
}

pub type Result<T, E = Why> = std::result::Result<T, E>;

impl From<Error> for Why {
    fn from(error: Error) -> Why {
        match error {
            Error::Full { full, .. } => Why::Full(full),
            error => Why::Log(error),
        }
    }
}

impl From<Full> for Why {
    fn from(full: Full) -> Why {
        Why::Full(full)
    }
}

impl From<CallError> for Why {
    fn from(error: CallError) -> Why {
        match error {
            CallError::Log(error) => error.into(),
            error => Why::Call(error),
        }
    }
}

/// A [`Why::Log`] of a sentence: an argument that cannot be meant.
pub fn invalid(why: impl Into<String>) -> Why {
    Why::Log(Error::Invalid(why.into()))
}

impl Why {
    /// The code of the header.
    pub fn code(&self) -> i32 {
        match self {
            Why::Log(error) => -(error.code() as i32),
            Why::Full(_) => code::FULL,
            Why::Panic => -(ringlog::Code::Other as i32),
            Why::Call(error) => match error {
                CallError::TimedOut => code::NO_ANSWER,
                CallError::Gone => code::GONE,
                CallError::Failed(_) => code::FAILED,
                CallError::Interrupted => code::INTERRUPTED,
                CallError::Expired => code::EXPIRED,
                CallError::Panicked(_) => code::PANICKED,
                CallError::NoMethod => code::NO_METHOD,
                CallError::TooLarge => code::TOO_LARGE,
                CallError::Value(_) => code::VALUE,
                _ => -(ringlog::Code::Other as i32),
            },
        }
    }

    /// Makes it the last error of this thread, and returns its code.
    pub fn tell(self) -> i32 {
        let code = self.code();
        LAST.with_borrow_mut(|last| {
            last.full = None;
            match &self {
                Why::Full(full) => last.full = Some(*full),
                Why::Log(error) => last.set(format_args!("{error}")),
                Why::Call(error) => last.set(format_args!("{error}")),
                Why::Panic => last.set(format_args!(
                    "ringlog panicked, which is a fault of its own; what it said is on stderr"
                )),
            }
        });
        code
    }
}

/// Bytes of the longest text that is kept, with the NUL behind it.
const ROOM: usize = 1024;

struct Last {
    /// Not made a text yet.
    full: Option<Full>,
    text: [u8; ROOM],
    length: usize,
}

thread_local! {
    static LAST: RefCell<Last> =
        const { RefCell::new(Last { full: None, text: [0; ROOM], length: 0 }) };
}

impl Last {
    fn set(&mut self, what: fmt::Arguments<'_>) {
        self.length = 0;
        let _ = self.write_fmt(what); // what has no room is cut
        self.text[self.length] = 0;
    }
}

impl Write for Last {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = text.floor_char_boundary(ROOM - 1 - self.length);
        let end = self.length + kept;
        self.text[self.length..end].copy_from_slice(&text.as_bytes()[..kept]);
        self.length = end;
        // A NUL would end it for a caller in C.
        self.text[..end].iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b'?');
        if kept < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The text of the last error of this thread, with a NUL behind it; it stays where it is.
pub fn text() -> *const c_char {
    LAST.with_borrow_mut(|last| {
        if let Some(full) = last.full {
            last.set(format_args!("{full}"));
        }
        last.text.as_ptr().cast()
    })
}

/// What the last error of this thread says of a log that is full, if it says that.
pub fn full() -> Option<Full> {
    LAST.with_borrow(|last| last.full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn last() -> String {
        LAST.with_borrow_mut(|last| {
            assert!(last.full.is_none());
            CStr::from_bytes_until_nul(&last.text).unwrap().to_str().unwrap().to_owned()
        })
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let long = "é".repeat(ROOM);
        assert_eq!(invalid(long).tell(), -2);
        assert_eq!(last(), "é".repeat((ROOM - 1) / 2));
        assert_eq!(invalid("a\0b").tell(), -2);
        assert_eq!(last(), "a?b");
    }
}
