//! Who demonstrates which episode.

/// Which of several ways, whose relative shares are `shares`, each of `n_episodes` is played in, and for the how many-th
/// time: always the one that is furthest behind its share. Empty without ways.
pub(crate) fn schedule(shares: &[f64], n_episodes: usize) -> Vec<(usize, usize)> {
    let total: f64 = shares.iter().sum();
    let mut played = vec![0usize; shares.len()];
    let next = |index: usize| {
        let behind = |which: usize| shares[which] / total * (index + 1) as f64 - played[which] as f64;
        let next = (0..shares.len()).max_by(|&a, &b| behind(a).total_cmp(&behind(b)).then(b.cmp(&a)))?;
        played[next] += 1;
        Some((next, played[next] - 1))
    };
    (0..n_episodes).map_while(next).collect()
}
