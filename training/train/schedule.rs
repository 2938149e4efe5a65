//! A step's number in, the learning rate's factor out, as in Hugging Face's schedules. Knows no optimiser.

/// The schedule of the learning rate over a round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// The same in all steps after warming up.
    Constant,
    /// Down to 0 in a straight line.
    Linear,
    /// Down to 0 by half a cosine (Loshchilov, Hutter: SGDR, 2017).
    Cosine,
}

impl Schedule {
    /// The factor of step `step` (from 0) of `steps`, the first `warm_up` of which rise from 0 in a straight line.
    pub fn factor(self, step: u64, steps: u64, warm_up: u64) -> f64 {
        if step < warm_up {
            return step as f64 / warm_up as f64;
        }
        let done = (step - warm_up) as f64 / steps.saturating_sub(warm_up).max(1) as f64;
        match self {
            Schedule::Constant => 1.0,
            Schedule::Linear => (1.0 - done).max(0.0),
            Schedule::Cosine => (0.5 * (1.0 + (std::f64::consts::PI * done).cos())).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_those_of_hugging_face() {
        for (schedule, step, steps, warm_up, expected) in [
            (Schedule::Constant, 7, 10, 0, 1.0),
            (Schedule::Constant, 1, 10, 4, 0.25),
            (Schedule::Linear, 0, 10, 0, 1.0),
            (Schedule::Linear, 6, 10, 2, 0.5),
            (Schedule::Linear, 12, 10, 2, 0.0),
            (Schedule::Cosine, 6, 10, 2, 0.5),
            (Schedule::Cosine, 10, 10, 2, 0.0),
            (Schedule::Cosine, 0, 1, 0, 1.0),
        ] {
            let found = schedule.factor(step, steps, warm_up);
            assert!((found - expected).abs() < 1e-12, "{schedule:?} {step} of {steps}: {found}");
        }
    }
}
