//! What was found, on stdout, up to a limit.

use crate::cli::{grouped, one_line};
use crate::operator::screen::print;
use std::fmt::Display;

/// Says what was found, up to a limit.
pub struct Findings {
    left: u64,
    untold: u64,
}

impl Findings {
    /// Up to `limit`.
    pub fn new(limit: u64) -> Findings {
        Findings { left: limit, untold: 0 }
    }

    /// One more.
    pub fn tell(&mut self, finding: &dyn Display) -> anyhow::Result<()> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                print(one_line(&finding.to_string()) + "\n")?;
            }
            None => self.untold += 1,
        }
        Ok(())
    }

    /// How many were not told.
    pub fn close(&mut self) -> anyhow::Result<()> {
        if self.untold > 0 {
            print(format!("and {} more, see --limit\n", grouped(self.untold)))?;
        }
        Ok(())
    }
}
