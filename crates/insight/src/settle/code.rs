//! Amounts by the named reasons why an estimate and a bill differ.

use super::atto::Atto;
pub use costlens_domain::settlement::ResidualCode as Code;

/// An amount for each code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByCode([Atto; Code::ALL.len()]);

impl ByCode {
    /// The code's amount.
    #[must_use]
    pub fn of(&self, code: Code) -> Atto {
        self.iter().find(|(known, _)| *known == code).map_or(Atto::ZERO, |(_, amount)| amount)
    }

    /// Adds to a code.
    pub fn add(&mut self, code: Code, amount: Atto) {
        for (known, sum) in Code::ALL.iter().zip(&mut self.0) {
            if *known == code {
                *sum += amount;
            }
        }
    }

    /// Adds all of another's.
    pub fn add_all(&mut self, other: &Self) {
        for (sum, amount) in self.0.iter_mut().zip(other.0) {
            *sum += amount;
        }
    }

    /// Every code with its amount.
    pub fn iter(&self) -> impl Iterator<Item = (Code, Atto)> + '_ {
        Code::ALL.iter().copied().zip(self.0.iter().copied())
    }

    /// The sum over all codes.
    #[must_use]
    pub fn total(&self) -> Atto {
        self.0.iter().copied().sum()
    }
}
