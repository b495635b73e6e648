//! What went on inside of the trainings: everything that was logged, over gradient steps through all stages. A band is from the
//! lowest to the highest run of a party.

use super::parties::grey_note;
use super::{Block, Section};
use crate::figure::{Curve, Figure, Marker, N_COLORS, Plot, Point, Series};
use crate::results::{Party, Results, Run};
use crate::statistics::mean;
use learn::{LearnConfig, Position, Stage};
use std::collections::{BTreeMap, BTreeSet};

/// Points of a line, at most; of more, neighbours are averaged.
const MAX_POINTS: usize = 90;

/// So many times the median is too much for an axis that shows both.
const EXPLODED: f64 = 1000.0;

/// A picture: its title, its unit, and what is in it by name in the logs and in the picture.
struct Picture {
    name: &'static str,
    title: &'static str,
    y_label: &'static str,
    metrics: &'static [(&'static str, &'static str)],
    note: &'static str,
}

/// What is looked at first.
const FIRST: [Picture; 3] = [
    Picture {
        name: "value_and_return",
        title: "Predicted value and realised return",
        y_label: "discounted reward",
        metrics: &[("q_predicted", "predicted"), ("return_realised", "realised")],
        note: "Of demonstrated chunks, online of the latest own ones. A gap that grows is a critic that deceives itself.",
    },
    Picture {
        name: "kl",
        title: "KL to the imitation policy",
        y_label: "nats per chunk",
        metrics: &[("kl_to_imitation", "")],
        note: "Reverse KL of the policy's own chunks.",
    },
    Picture {
        name: "nll",
        title: "Negative log-likelihood of demonstrations",
        y_label: "nats per dimension",
        metrics: &[("demo_nll_per_dim", "")],
        note: "Lower is likelier.",
    },
];

/// What tells the rest.
const MORE: [Picture; 13] = [
    Picture {
        name: "start_value",
        title: "Value of the first states",
        y_label: "discounted reward",
        metrics: &[("start_value", "")],
        note: "",
    },
    Picture {
        name: "own_value",
        title: "Value of own chunks, and targets",
        y_label: "discounted reward",
        metrics: &[("q_own", "own chunks"), ("target_mean", "targets")],
        note: "",
    },
    Picture {
        name: "gradients_of_terms",
        title: "Gradients of the actor's two terms",
        y_label: "norm",
        metrics: &[("gradient_norm_value", "value"), ("gradient_norm_held", "what holds back")],
        note: "",
    },
    Picture {
        name: "gradients",
        title: "Gradients",
        y_label: "norm",
        metrics: &[("actor_gradient_norm", "actor"), ("critic_gradient_norm", "critic")],
        note: "",
    },
    Picture {
        name: "observation_outliers",
        title: "Outliers among what is observed",
        y_label: "share of states",
        metrics: &[("observation_outliers", "")],
        note: "Of the observed value that most often lies beyond three standard deviations of the demonstrations.",
    },
    Picture {
        name: "candidate_spread",
        title: "Spread of candidates",
        y_label: "normalized units",
        metrics: &[("candidate_spread", "")],
        note: "Of the candidates of a state from their mean.",
    },
    Picture {
        name: "q_spread",
        title: "Spread of the candidates' values",
        y_label: "discounted reward",
        metrics: &[("q_spread", "")],
        note: "",
    },
    Picture { name: "critic_loss", title: "Critic loss", y_label: "", metrics: &[("critic_loss", "")], note: "" },
    Picture {
        name: "label_entropy",
        title: "Entropy of the critic's labels",
        y_label: "nats",
        metrics: &[("label_entropy", "")],
        note: "",
    },
    Picture {
        name: "imitation_loss",
        title: "Imitation loss",
        y_label: "per dimension",
        metrics: &[("imitation_loss_per_dim", "")],
        note: "",
    },
    Picture {
        name: "beta",
        title: "Weight of the KL",
        y_label: "Q ranges per nat",
        metrics: &[("beta", "")],
        note: "",
    },
    Picture {
        name: "log_scale",
        title: "Largest log-scale of the flow",
        y_label: "",
        metrics: &[("max_log_scale", "")],
        note: "",
    },
    Picture {
        name: "clamped",
        title: "Targets outside of the support",
        y_label: "share",
        metrics: &[("target_clamped", "")],
        note: "",
    },
];

/// The section; what there was no data for goes to `missing`.
pub fn section(results: &Results, missing: &mut Vec<String>) -> Option<Section> {
    let logs: Vec<Log<'_>> = results.parties.iter().map(Log::of).collect();
    if logs.iter().all(|log| log.names.is_empty()) {
        missing.push("what was logged in the trainings, which is in the run folders".into());
        return None;
    }
    let draw = |picture: &Picture| picture.draw(results, &logs);
    let mut first: Vec<Figure> = FIRST.iter().filter_map(draw).collect();
    first.extend(calibration(results));
    let mut blocks = vec![Block::Figures(first)];
    let known: BTreeSet<&str> =
        FIRST.iter().chain(&MORE).flat_map(|picture| picture.metrics).map(|pair| pair.0).collect();
    let logged: BTreeSet<&str> = logs.iter().flat_map(|log| log.names.iter().copied()).collect();
    let mut more: Vec<Figure> = MORE.iter().filter_map(draw).collect();
    more.extend(logged.difference(&known).filter_map(|name| figure(results, &logs, name, name, "", &[(name, "")], "")));
    blocks.push(Block::Folded { title: "Everything else that was logged".into(), blocks: vec![Block::Figures(more)] });
    Some(Section { title: "Inside the training".into(), blocks })
}

/// What the critic predicts against what comes of it, where learning ended: a point a party.
fn calibration(results: &Results) -> Option<Figure> {
    let ends = |run: &Run| {
        run.metrics.iter().rev().find_map(|line| {
            let number = |name: &str| line.values.get(name).copied();
            Some([number("return_realised")?, number("q_predicted")?])
        })
    };
    let series = |(color, party): (usize, &Party)| {
        let ends: Vec<[f64; 2]> = party.runs.iter().filter_map(ends).collect();
        let [x, y] = [0, 1].map(|axis| mean(&ends.iter().map(|end| end[axis]).collect::<Vec<_>>()));
        let predicted = || ends.iter().map(|end| end[1]);
        let (low, high) = (predicted().fold(f64::INFINITY, f64::min), predicted().fold(f64::NEG_INFINITY, f64::max));
        Some(Series {
            name: party.name.clone(),
            color: (color < N_COLORS).then_some(color),
            points: vec![Point { x: x?, y: y?, low, high }],
        })
    };
    let mut series: Vec<Series> = results.parties.iter().enumerate().filter_map(series).collect();
    let places = || series.iter().flat_map(|series| &series.points).flat_map(|point| [point.x, point.low, point.high]);
    let (low, high) = (places().fold(f64::INFINITY, f64::min), places().fold(f64::NEG_INFINITY, f64::max));
    if low >= high {
        return None;
    }
    let true_value = |at: f64| Point { x: at, y: at, low: at, high: at };
    series.insert(0, Series { name: String::new(), color: None, points: vec![true_value(low), true_value(high)] });
    Some(Figure {
        name: "calibration".into(),
        title: "What the critic predicts, and what comes of it".into(),
        note: format!(
            "Of the latest chunks of every run, where its log ends; mean over runs, from the lowest to the highest prediction. On the line \
             both are equal; above it the critic deceives itself.{}",
            grey_note(results)
        ),
        plot: Plot::Curve(Curve {
            x_label: "realised return".into(),
            y_label: "predicted value".into(),
            series,
            markers: Vec::new(),
            levels: Vec::new(),
        }),
    })
}

/// The logs of a party.
struct Log<'a> {
    party: &'a Party,
    names: BTreeSet<&'a str>,
}

impl<'a> Log<'a> {
    fn of(party: &'a Party) -> Self {
        let lines = party.runs.iter().flat_map(|run| &run.metrics);
        Self { party, names: lines.flat_map(|line| line.values.keys().map(String::as_str)).collect() }
    }

    /// Mean, lowest and highest run over gradient steps, of `value` where it is defined in all runs that logged it.
    fn points(&self, value: &dyn Fn(&BTreeMap<String, f64>) -> Option<f64>) -> Vec<Point> {
        let mut at: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        let learn = &self.party.experiment.learn;
        let lines = |run: &'a Run| run.metrics.iter();
        for line in self.party.runs.iter().flat_map(lines) {
            let Some(stage) = Stage::named(&line.stage) else { continue };
            let before = Position::steps_before(stage, learn);
            if let Some(value) = value(&line.values) {
                at.entry(before + line.step).or_default().push(value);
            }
        }
        let n_most = at.values().map(Vec::len).max().unwrap_or(0);
        at.retain(|_, values| values.len() == n_most);
        let point = |(step, values): (u64, Vec<f64>)| Point {
            x: step as f64,
            y: values.iter().sum::<f64>() / values.len() as f64,
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        };
        thinned(&at.into_iter().map(point).collect::<Vec<_>>())
    }
}

impl Picture {
    fn draw(&self, results: &Results, logs: &[Log<'_>]) -> Option<Figure> {
        figure(results, logs, self.name, self.title, self.y_label, self.metrics, self.note)
    }
}

/// Of one party, every metric is a line. Of several, every party is one: of the metric, or of the first minus the second.
fn figure(
    results: &Results,
    logs: &[Log<'_>],
    name: &str,
    title: &str,
    y_label: &str,
    metrics: &[(&str, &str)],
    note: &str,
) -> Option<Figure> {
    let (series, title) = match (logs, metrics) {
        ([log], _) => {
            let line = |(color, &(metric, name)): (usize, &(&str, &str))| Series {
                name: name.into(),
                color: Some(color),
                points: log.points(&|values| values.get(metric).copied()),
            };
            (metrics.iter().enumerate().map(line).collect::<Vec<_>>(), title.to_owned())
        }
        (_, [(metric, _)]) => (of_parties(logs, &|values| values.get(*metric).copied()), title.to_owned()),
        (_, [(first, first_name), (second, second_name)]) => {
            let gap = |values: &BTreeMap<String, f64>| Some(values.get(*first)? - values.get(*second)?);
            (of_parties(logs, &gap), format!("{title}: {first_name} minus {second_name}"))
        }
        _ => return None,
    };
    if series.iter().all(|series| series.points.len() < 2) {
        return None;
    }
    let (series, y_label) = readable(series, y_label);
    let places = || series.iter().flat_map(|series| series.points.iter().map(|point| point.x));
    let (first_x, last_x) = (places().fold(f64::INFINITY, f64::min), places().fold(f64::NEG_INFINITY, f64::max));
    let grey = if logs.len() > 1 { grey_note(results) } else { String::new() };
    Some(Figure {
        name: format!("training_{name}"),
        title,
        note: format!("{note}{grey}").trim().to_owned(),
        plot: Plot::Curve(Curve {
            x_label: "gradient steps".into(),
            y_label,
            series,
            markers: stage_markers(&results.experiment().learn, [first_x, last_x]),
            levels: Vec::new(),
        }),
    })
}

/// Where one line explodes all others would be flat: then magnitudes are shown by their logarithms.
fn readable(mut series: Vec<Series>, y_label: &str) -> (Vec<Series>, String) {
    let mut sizes: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point.y.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let (median, largest) = (sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
    if largest <= EXPLODED * median.max(1.0) {
        return (series, y_label.to_owned());
    }
    let log = |y: f64| y.signum() * (1.0 + y.abs()).log10();
    for point in series.iter_mut().flat_map(|series| &mut series.points) {
        *point = Point { x: point.x, y: log(point.y), low: log(point.low), high: log(point.high) };
    }
    (series, format!("{y_label}, sign(y) log10(1 + |y|)"))
}

fn of_parties(logs: &[Log<'_>], value: &dyn Fn(&BTreeMap<String, f64>) -> Option<f64>) -> Vec<Series> {
    let series = |(color, log): (usize, &Log<'_>)| Series {
        name: log.party.name.clone(),
        color: (color < N_COLORS).then_some(color),
        points: log.points(value),
    };
    logs.iter().enumerate().map(series).filter(|series| series.points.len() > 1).collect()
}

/// Where stages begin that a picture from `first_x` to `last_x` shows.
fn stage_markers(learn: &LearnConfig, [first_x, last_x]: [f64; 2]) -> Vec<Marker> {
    let stages = Stage::ALL.into_iter().filter(|&stage| Position::n_steps(stage, learn) > 0);
    let begins =
        stages.map(|stage| Marker { x: Position::steps_before(stage, learn) as f64, label: stage.name().into() });
    // The stage that the picture begins in needs no line.
    begins.filter(|marker| first_x < marker.x && marker.x < last_x).collect()
}

fn thinned(points: &[Point]) -> Vec<Point> {
    let size = points.len().div_ceil(MAX_POINTS).max(1);
    let merged = |points: &[Point]| {
        let n = points.len() as f64;
        Point {
            x: points.iter().map(|point| point.x).sum::<f64>() / n,
            y: points.iter().map(|point| point.y).sum::<f64>() / n,
            low: points.iter().map(|point| point.low).fold(f64::INFINITY, f64::min),
            high: points.iter().map(|point| point.high).fold(f64::NEG_INFINITY, f64::max),
        }
    };
    points.chunks(size).map(merged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Vec<Series> {
        let point = |(x, &y): (usize, &f64)| Point { x: x as f64, y, low: y, high: y };
        vec![Series { name: String::new(), color: None, points: values.iter().enumerate().map(point).collect() }]
    }

    /// Contract: what can be read as it is stays as it is; beside what explodes, magnitudes are logarithms, whose order is that of the
    /// values.
    #[test]
    fn explosions_leave_the_rest_readable() {
        let calm = series(&[-2.0, 0.0, 3.0, 900.0]);
        assert_eq!(readable(calm.clone(), "nats"), (calm, "nats".into()));
        let (shown, label) = readable(series(&[-99.0, 0.0, 3.0, 9.0, 1e14]), "nats");
        let heights: Vec<f64> = shown[0].points.iter().map(|point| point.y).collect();
        assert_eq!((heights[0], heights[1], heights[3]), (-2.0, 0.0, 1.0));
        assert!(
            heights.is_sorted() && (heights[4] - 14.0).abs() < 1e-9 && label.contains("log10"),
            "{heights:?} {label}"
        );
    }
}
