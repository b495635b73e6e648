//! What is logged of many gradient steps.

use learn::StepReport;
use std::collections::BTreeMap;

/// Means of the numbers of several steps.
#[derive(Debug, Default)]
pub(crate) struct Averages {
    sums: BTreeMap<&'static str, (f64, u32)>,
}

impl Averages {
    pub(crate) fn add(&mut self, report: &StepReport) {
        for &(name, value) in &report.metrics {
            let (sum, n) = self.sums.entry(name).or_default();
            *sum += value;
            *n += 1;
        }
    }

    pub(crate) fn take(&mut self) -> Vec<(&'static str, f64)> {
        std::mem::take(&mut self.sums).into_iter().map(|(name, (sum, n))| (name, sum / f64::from(n))).collect()
    }

    /// What is worth watching, in a few words.
    pub(crate) fn headline(&self) -> String {
        let shown =
            [("imitation_loss", "imitation"), ("critic_loss", "critic"), ("q_own", "Q"), ("kl_to_imitation", "KL")];
        let parts = shown.iter().filter_map(|(name, label)| {
            self.sums.get(name).map(|(sum, n)| format!("{label} {:.2}", sum / f64::from(*n)))
        });
        parts.collect::<Vec<_>>().join("  ")
    }
}
