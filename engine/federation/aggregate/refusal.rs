//! Why an update or a sum is not accepted. In: nothing. Out: a reason with a short code, for the stage's rejected rows. It holds
//! no value of an update.

use super::Round;

/// Why something was not accepted. What refused it is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// NaN or an infinity.
    #[error("the value at position {position} is not a finite number")]
    NotFinite {
        /// Where, in the flat vector.
        position: usize,
    },
    /// Not as many values as the adapter has parameters.
    #[error("it has {found} values, and the adapter {expected} parameters")]
    WrongShape {
        /// Values found.
        found: u64,
        /// Parameters of the adapter.
        expected: u64,
    },
    /// As many positions as values are needed, ascending, below the number of parameters.
    #[error("position number {index} does not ascend, lies outside the adapter, or has no value")]
    WrongPositions {
        /// The position.
        index: usize,
    },
    /// For an adapter with other tensors.
    #[error("it is for an adapter with other tensors")]
    WrongLayout,
    /// For a round that is over.
    #[error("it is for round {}, and the oldest open one is {}", found.0, oldest.0)]
    StaleRound {
        /// Its round.
        found: Round,
        /// The oldest open round.
        oldest: Round,
    },
    /// For a round that has not begun.
    #[error("it is for round {}, and the newest open one is {}", found.0, newest.0)]
    FutureRound {
        /// Its round.
        found: Round,
        /// The newest open round.
        newest: Round,
    },
    /// A sum of another round.
    #[error("it is a sum of round {}, not of {}", found.0, expected.0)]
    OtherRound {
        /// Its round.
        found: Round,
        /// The round that is added up.
        expected: Round,
    },
    /// A second copy.
    #[error("an update of this device for round {} is already there", round.0)]
    Duplicate {
        /// The round.
        round: Round,
    },
    /// An update that stands for nothing.
    #[error("it stands for no example")]
    NoExamples,
    /// More examples than an update may stand for, or than a sum can hold.
    #[error("it stands for {found} examples; the limit is {most}")]
    TooManyExamples {
        /// Examples it stands for.
        found: u64,
        /// The limit.
        most: u64,
    },
    /// To be taken out of a sum that cannot hold it.
    #[error("it cannot be taken out of a sum that does not hold it")]
    NotContained,
}

impl Refusal {
    /// A short, stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::NotFinite { .. } => "not_finite",
            Refusal::WrongShape { .. } => "wrong_shape",
            Refusal::WrongPositions { .. } => "wrong_positions",
            Refusal::WrongLayout => "wrong_layout",
            Refusal::StaleRound { .. } => "stale_round",
            Refusal::FutureRound { .. } => "future_round",
            Refusal::OtherRound { .. } => "other_round",
            Refusal::Duplicate { .. } => "duplicate",
            Refusal::NoExamples => "no_examples",
            Refusal::TooManyExamples { .. } => "too_many_examples",
            Refusal::NotContained => "not_contained",
        }
    }
}
