//! Resident memory of a service over time: samples in, a slope out.

use std::time::Duration;

/// The most MiB by which the mean of the last fifth of the samples may exceed that of the first. A second recording that is transcribed at
/// the same time takes 50 MiB, once, and allocators keep some of the buffers of longer recordings.
const FLAT: f64 = 64.0;

#[derive(Debug, Default)]
pub struct Memory {
    /// Seconds, and MiB.
    samples: Vec<(f64, f64)>,
}

impl Memory {
    pub fn sample(&mut self, at: Duration, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            self.samples.push((at.as_secs_f64(), bytes as f64 / (1 << 20) as f64));
        }
    }

    /// Prints the slope by least squares; fails where the memory grew.
    pub fn report(&self) {
        let n = self.samples.len() as f64;
        assert!(n >= 20.0, "{n} samples of the memory");
        let mean = |of: fn(&(f64, f64)) -> f64| self.samples.iter().map(of).sum::<f64>() / n;
        let (at, size) = (mean(|s| s.0), mean(|s| s.1));
        let covariance: f64 = self.samples.iter().map(|s| (s.0 - at) * (s.1 - size)).sum();
        let variance: f64 = self.samples.iter().map(|s| (s.0 - at).powi(2)).sum();
        let fifth = self.samples.len() / 5;
        let part = |samples: &[(f64, f64)]| samples.iter().map(|s| s.1).sum::<f64>() / samples.len() as f64;
        let (first, last) = (part(&self.samples[..fifth]), part(&self.samples[self.samples.len() - fifth..]));
        let tenths = self.samples.chunks(self.samples.len().div_ceil(10)).map(part);
        println!("memory by tenths: {}", tenths.map(|mib| format!("{mib:.0}")).collect::<Vec<_>>().join(" "));
        println!(
            "memory {first:.0} MiB at first, {last:.0} MiB at last, slope {:+.2} MiB an hour",
            covariance / variance * 3600.0
        );
        assert!(last - first < FLAT, "the memory grew by {:.0} MiB", last - first);
    }
}
