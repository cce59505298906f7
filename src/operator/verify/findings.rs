//! What was found, printed on stdout up to a limit.

use crate::cli::{grouped, one_line};
use crate::operator::screen::print;
use std::fmt::Display;

/// Prints what was found, up to a limit.
pub struct Findings {
    left: u64,
    untold: u64,
}

impl Findings {
    /// Makes one that prints up to `limit` findings.
    pub fn new(limit: u64) -> Findings {
        Findings { left: limit, untold: 0 }
    }

    /// Prints or counts one more.
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

    /// Prints how many were left out.
    pub fn close(&mut self) -> anyhow::Result<()> {
        if self.untold > 0 {
            print(format!("and {} more, see --limit\n", grouped(self.untold)))?;
        }
        Ok(())
    }
}
