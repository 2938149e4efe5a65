//! The server step: how the mean of updates moves the global adapter.
//!
//! In: the adapter and the mean update, in f32. Out: the adapter after the step. Everything between is f64, one operation after
//! the other in the order written, without fused or reordered arithmetic: the same bits on every IEEE 754 machine. It must not
//! know devices, rounds or how the mean came about.

/// The server rule over the mean. `rate` multiplies it in every rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// w <- w + rate * mean. With a rate of 1 this is FedAvg: McMahan et al., "Communication-efficient learning of deep
    /// networks from decentralized data" (2017).
    Mean,
    /// v <- momentum * v + mean; w <- w + rate * v. FedAvgM: Hsu et al., "Measuring the effects of non-identical data
    /// distribution for federated visual classification" (2019).
    Momentum {
        /// From 0 to below 1; 0.9 in the paper.
        momentum: f64,
    },
    /// m <- b1 * m + (1 - b1) * mean; v <- b2 * v + (1 - b2) * mean^2; w <- w + rate * m / (sqrt(v) + epsilon), where v begins
    /// at epsilon^2 and nothing is corrected for its bias. FedAdam: Reddi et al., "Adaptive federated optimization" (2021).
    Adam {
        /// b1, from 0 to below 1; 0.9 in the paper.
        first: f64,
        /// b2, from 0 to below 1; 0.99 in the paper.
        second: f64,
        /// Above 0; the paper's tau, 0.001.
        epsilon: f64,
    },
}

/// Why no step was taken. The adapter is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A number of the rule is out of range.
    #[error("{what} must be {expected}")]
    Rule {
        /// The number.
        what: &'static str,
        /// The expected value.
        expected: &'static str,
    },
    /// Vectors of different lengths.
    #[error("the mean has {mean} values, and the adapter {adapter} parameters")]
    Length {
        /// Values of the mean.
        mean: usize,
        /// Parameters of the adapter.
        adapter: usize,
    },
    /// The step leads out of f32, or starts out of it.
    #[error("the step makes parameter {position} infinite or NaN; lower the rate")]
    NotFinite {
        /// The parameter.
        position: usize,
    },
}

/// A rule and what it remembers between steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    rule: Rule,
    rate: f64,
    /// Momentum, or Adam's m; empty before the first step.
    first: Vec<f64>,
    /// Adam's v.
    second: Vec<f64>,
}

impl Server {
    /// A server before its first step. `rate` is the server's learning rate.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn new(rule: Rule, rate: f64) -> Result<Server, ServerError> {
        let below_one = |what, value: f64| {
            let expected = "from 0 to below 1";
            (0.0..1.0).contains(&value).then_some(()).ok_or(ServerError::Rule { what, expected })
        };
        let positive = |what, value: f64| {
            let expected = "above 0 and finite";
            (value > 0.0 && value.is_finite()).then_some(()).ok_or(ServerError::Rule { what, expected })
        };
        positive("the rate", rate)?;
        match rule {
            Rule::Mean => {}
            Rule::Momentum { momentum } => below_one("the momentum", momentum)?,
            Rule::Adam { first, second, epsilon } => {
                below_one("Adam's first factor", first)?;
                below_one("Adam's second factor", second)?;
                positive("Adam's epsilon", epsilon)?;
            }
        }
        Ok(Server { rule, rate, first: Vec::new(), second: Vec::new() })
    }

    /// The memory of the rule: momentum or Adam's m, and Adam's v; empty where there is none.
    pub fn memory(&self) -> (&[f64], &[f64]) {
        (&self.first, &self.second)
    }

    /// Moves the adapter.
    ///
    /// # Errors
    /// When lengths differ or a parameter would leave the finite numbers; then nothing has changed.
    pub fn step(&mut self, adapter: &mut [f32], mean: &[f32]) -> Result<(), ServerError> {
        if mean.len() != adapter.len() {
            return Err(ServerError::Length { mean: mean.len(), adapter: adapter.len() });
        }
        let mut next = self.clone();
        let moves = next.moves(mean)?;
        let mut moved = Vec::with_capacity(adapter.len());
        for (position, (parameter, by)) in adapter.iter().zip(moves).enumerate() {
            #[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest f32")]
            let parameter = (f64::from(*parameter) + self.rate * by) as f32;
            if !parameter.is_finite() {
                return Err(ServerError::NotFinite { position });
            }
            moved.push(parameter);
        }
        adapter.copy_from_slice(&moved);
        *self = next;
        Ok(())
    }

    /// The direction that the rate multiplies.
    fn moves(&mut self, mean: &[f32]) -> Result<Vec<f64>, ServerError> {
        let kept = |memory: &mut Vec<f64>, start: f64| {
            if memory.is_empty() {
                memory.resize(mean.len(), start);
            }
            (memory.len() == mean.len())
                .then_some(())
                .ok_or(ServerError::Length { mean: mean.len(), adapter: memory.len() })
        };
        let mean = mean.iter().map(|value| f64::from(*value));
        Ok(match self.rule {
            Rule::Mean => mean.collect(),
            Rule::Momentum { momentum } => {
                kept(&mut self.first, 0.0)?;
                self.first.iter_mut().zip(mean).for_each(|(v, mean)| *v = momentum * *v + mean);
                self.first.clone()
            }
            Rule::Adam { first, second, epsilon } => {
                kept(&mut self.first, 0.0)?;
                kept(&mut self.second, epsilon * epsilon)?;
                let memory = self.first.iter_mut().zip(&mut self.second);
                let step = |((m, v), mean): ((&mut f64, &mut f64), f64)| {
                    *m = first * *m + (1.0 - first) * mean;
                    *v = second * *v + (1.0 - second) * (mean * mean);
                    *m / (v.sqrt() + epsilon)
                };
                memory.zip(mean).map(step).collect()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_move_the_adapter() {
        let check = |rule: Rule, rate: f64, means: &[f32], expected: &[f32]| {
            let mut server = Server::new(rule, rate).unwrap();
            let mut adapter = [1.0];
            for (mean, expected) in means.iter().zip(expected) {
                server.step(&mut adapter, &[*mean]).unwrap();
                assert!((adapter[0] - expected).abs() <= 1e-6, "{rule:?}: {adapter:?}, not {expected}");
            }
        };
        check(Rule::Mean, 1.0, &[0.5, -0.25], &[1.5, 1.25]);
        check(Rule::Mean, 0.5, &[0.5, -0.25], &[1.25, 1.125]);
        // v = 0.5, 0.75, 0.375.
        check(Rule::Momentum { momentum: 0.5 }, 1.0, &[0.5, 0.5, 0.0], &[1.5, 2.25, 2.625]);
        check(Rule::Momentum { momentum: 0.0 }, 1.0, &[0.5, -0.25], &[1.5, 1.25]);
        // m = 0.05; v = 0.99e-6 + 0.0025; 0.1 * 0.05 / (0.0500099 + 0.001).
        let adam = Rule::Adam { first: 0.9, second: 0.99, epsilon: 0.001 };
        check(adam, 0.1, &[0.5], &[1.098_02]);
        check(adam, 0.1, &[0.0], &[1.0]);
    }

    #[test]
    fn wrong_rules_and_steps_are_told() {
        let check = |rule: Rule, rate: f64, expected: &str| {
            assert_eq!(Server::new(rule, rate).unwrap_err().to_string(), expected);
        };
        check(Rule::Mean, 0.0, "the rate must be above 0 and finite");
        check(Rule::Mean, f64::NAN, "the rate must be above 0 and finite");
        check(Rule::Momentum { momentum: 1.0 }, 1.0, "the momentum must be from 0 to below 1");
        let adam = |first, second, epsilon| Rule::Adam { first, second, epsilon };
        check(adam(-0.1, 0.9, 0.1), 1.0, "Adam's first factor must be from 0 to below 1");
        check(adam(0.9, f64::INFINITY, 0.1), 1.0, "Adam's second factor must be from 0 to below 1");
        check(adam(0.9, 0.9, 0.0), 1.0, "Adam's epsilon must be above 0 and finite");
        let mut server = Server::new(Rule::Momentum { momentum: 0.9 }, 2.0).unwrap();
        let before = server.clone();
        let mut adapter = [1.0, f32::MAX];
        let error = server.step(&mut adapter, &[1.0, f32::MAX]).unwrap_err();
        assert_eq!(error, ServerError::NotFinite { position: 1 });
        assert_eq!((adapter, &server), ([1.0, f32::MAX], &before));
        assert_eq!(server.step(&mut adapter, &[1.0]), Err(ServerError::Length { mean: 1, adapter: 2 }));
    }
}
