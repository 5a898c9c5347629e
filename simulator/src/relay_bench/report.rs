//! What was measured, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Which of the two was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Null,
    Node,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null relay",
            Self::Node => "node",
        }
    }
}

/// What the phones saw in a round.
#[derive(Debug, Clone)]
pub(super) struct Traffic {
    sent: u64,
    returned: u64,
    late: u64,
    marks: u64,
    /// Frames that the load's own socket did not take at once.
    unsent: u64,
    /// Sorted, microseconds.
    round_trips: Vec<u32>,
    /// How late the load itself sent, sorted, microseconds.
    tick_lag: Vec<u32>,
    hung_up_on: usize,
}

impl Traffic {
    pub(super) fn new(
        sent: u64,
        mut round_trips: Vec<u32>,
        late: u64,
        marks: u64,
        unsent: u64,
        mut tick_lag: Vec<u32>,
        hung_up_on: usize,
    ) -> Self {
        round_trips.sort_unstable();
        tick_lag.sort_unstable();
        Self { sent, returned: round_trips.len() as u64, late, marks, unsent, round_trips, tick_lag, hung_up_on }
    }
}

/// The value below which this share of the sorted values lies.
fn percentile(sorted: &[u32], share: f64) -> u32 {
    let place = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.saturating_sub(1)), values.get(middle)) {
        (Some(low), Some(high)) if values.len().is_multiple_of(2) => (low + high) / 2.0,
        (_, Some(value)) => *value,
        (_, None) => 0.0,
    }
}

/// One round.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) side: Side,
    pub(super) cpu_us_per_call_second: f64,
    pub(super) load_cpu_share: f64,
    pub(super) traffic: Traffic,
}

impl Round {
    /// One line for who watches.
    pub(super) fn line(&self) -> String {
        let traffic = &self.traffic;
        format!(
            "{:.0} µs CPU per call-second, round trip p50 {} p99 {} µs, {} of {} frames back, load at {:.0} %",
            self.cpu_us_per_call_second,
            percentile(&traffic.round_trips, 0.5),
            percentile(&traffic.round_trips, 0.99),
            traffic.returned,
            traffic.sent,
            self.load_cpu_share * 100.0
        )
    }

    fn json(&self) -> Value {
        let traffic = &self.traffic;
        json!({
            "side": self.side.name(), "cpuUsPerCallSecond": self.cpu_us_per_call_second,
            "loadCpuShare": self.load_cpu_share,
            "sent": traffic.sent, "returned": traffic.returned, "late": traffic.late, "marks": traffic.marks,
            "unsent": traffic.unsent, "hungUpOn": traffic.hung_up_on,
            "roundTripUs": { "p50": percentile(&traffic.round_trips, 0.5), "p99": percentile(&traffic.round_trips, 0.99),
                "p999": percentile(&traffic.round_trips, 0.999), "max": percentile(&traffic.round_trips, 1.0) },
            "loadLagUs": { "p50": percentile(&traffic.tick_lag, 0.5), "p99": percentile(&traffic.tick_lag, 0.99) },
        })
    }
}

/// Memory at growing numbers of calls.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    pub(super) side: Side,
    /// Calls and resident KiB.
    pub(super) steps: Vec<(usize, u64)>,
}

impl Memory {
    /// KiB that one more call costs: the slope of the line nearest to the steps.
    fn per_call_kib(&self) -> f64 {
        let count = self.steps.len() as f64;
        let mean = |of: fn(&(usize, u64)) -> f64| self.steps.iter().map(of).sum::<f64>() / count;
        let (calls, kib) = (mean(|step| step.0 as f64), mean(|step| step.1 as f64));
        let (mut above, mut below) = (0.0, 0.0);
        for step in &self.steps {
            let x = step.0 as f64 - calls;
            above += x * (step.1 as f64 - kib);
            below += x * x;
        }
        above / below
    }
}

/// Everything.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) calls: usize,
    pub(super) seconds: u64,
    pub(super) pinned: bool,
    pub(super) rounds: Vec<Round>,
    pub(super) memory: Vec<Memory>,
}

struct Column {
    cpu: f64,
    cpu_range: (f64, f64),
    round_trips: Vec<u32>,
    sent: u64,
    returned: u64,
    late: u64,
    hung_up_on: usize,
    memory: f64,
    load: f64,
    load_lag: u32,
}

impl Report {
    fn column(&self, side: Side) -> Column {
        let rounds: Vec<&Round> = self.rounds.iter().filter(|round| round.side == side).collect();
        let cpu: Vec<f64> = rounds.iter().map(|round| round.cpu_us_per_call_second).collect();
        let mut round_trips: Vec<u32> = rounds.iter().flat_map(|r| r.traffic.round_trips.iter().copied()).collect();
        let mut lag: Vec<u32> = rounds.iter().flat_map(|round| round.traffic.tick_lag.iter().copied()).collect();
        round_trips.sort_unstable();
        lag.sort_unstable();
        let sum = |of: fn(&Traffic) -> u64| rounds.iter().map(|round| of(&round.traffic)).sum();
        Column {
            cpu_range: (cpu.iter().copied().fold(f64::MAX, f64::min), cpu.iter().copied().fold(0.0, f64::max)),
            cpu: median(cpu),
            round_trips,
            sent: sum(|traffic| traffic.sent),
            returned: sum(|traffic| traffic.returned),
            late: sum(|traffic| traffic.late),
            hung_up_on: rounds.iter().map(|round| round.traffic.hung_up_on).sum(),
            memory: self.memory.iter().find(|memory| memory.side == side).map_or(0.0, Memory::per_call_kib),
            load: median(rounds.iter().map(|round| round.load_cpu_share).collect()),
            load_lag: percentile(&lag, 0.99),
        }
    }

    /// The ratio of each node round to the null round before it.
    fn ratios(&self) -> Vec<f64> {
        let of = |side| self.rounds.iter().filter(move |round| round.side == side);
        of(Side::Null)
            .zip(of(Side::Node))
            .map(|(null, node)| node.cpu_us_per_call_second / null.cpu_us_per_call_second)
            .collect()
    }

    pub(super) fn markdown(&self) -> String {
        let (null, node) = (self.column(Side::Null), self.column(Side::Node));
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} calls, both sides talking, {} rounds of {} s each, in turn{}.\n",
            self.calls,
            self.rounds.len() / 2,
            self.seconds,
            if self.pinned { "; one core for node and relay, another for the load" } else { "; cores not pinned" }
        );
        let mut row = |name: &str, null: String, node: String, ratio: String| {
            let _ = writeln!(text, "| {name} | {null} | {node} | {ratio} |");
        };
        let word = |text: &str| text.to_owned();
        row("", word("null relay"), word("node"), word("ratio"));
        row("---", word("---:"), word("---:"), word("---:"));
        let range =
            |column: &Column| format!("{:.0} ({:.0}–{:.0})", column.cpu, column.cpu_range.0, column.cpu_range.1);
        row(
            "CPU per call-second, µs: median (range)",
            range(&null),
            range(&node),
            format!("{:.2}", median(self.ratios())),
        );
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let (a, b) = (percentile(&null.round_trips, share), percentile(&node.round_trips, share));
            let ratio = f64::from(b) / f64::from(a.max(1));
            row(&format!("round trip {name}, µs"), a.to_string(), b.to_string(), format!("{ratio:.2}"));
        }
        let frames = |column: &Column| format!("{} / {}", column.sent - column.returned.min(column.sent), column.late);
        row("frames lost / later than 20 ms", frames(&null), frames(&node), String::new());
        row("frames sent", null.sent.to_string(), node.sent.to_string(), String::new());
        row("calls lost", null.hung_up_on.to_string(), node.hung_up_on.to_string(), String::new());
        row("memory per call, KiB", format!("{:.1}", null.memory), format!("{:.1}", node.memory), String::new());
        let load = |column: &Column| format!("{:.0} % / {}", column.load * 100.0, column.load_lag);
        row("the load itself: of its core / sent late p99, µs", load(&null), load(&node), String::new());
        text
    }

    pub(super) fn json(&self) -> String {
        let (null, node) = (self.column(Side::Null), self.column(Side::Node));
        let column = |column: &Column| {
            json!({
                "cpuUsPerCallSecond": column.cpu, "memoryPerCallKib": column.memory,
                "roundTripUs": { "p50": percentile(&column.round_trips, 0.5), "p99": percentile(&column.round_trips, 0.99),
                    "p999": percentile(&column.round_trips, 0.999) },
                "sent": column.sent, "returned": column.returned, "late": column.late, "callsLost": column.hung_up_on,
            })
        };
        let memory: Vec<Value> = self
            .memory
            .iter()
            .map(|memory| json!({ "side": memory.side.name(), "callsAndResidentKib": memory.steps }))
            .collect();
        let report = json!({
            "calls": self.calls, "seconds": self.seconds, "pinned": self.pinned,
            "cpuRatio": median(self.ratios()), "nullRelay": column(&null), "node": column(&node),
            "rounds": self.rounds.iter().map(Round::json).collect::<Vec<_>>(), "memory": memory,
        });
        format!("{report:#}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_what_their_names_say() {
        let sorted: Vec<u32> = (1..=1000).collect();
        assert_eq!((percentile(&sorted, 0.5), percentile(&sorted, 0.999), percentile(&sorted, 1.0)), (500, 999, 1000));
        assert_eq!(percentile(&[], 0.5), 0);
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9 && (median(vec![1.0, 4.0]) - 2.5).abs() < 1e-9);
        let memory = Memory { side: Side::Node, steps: vec![(10, 1500), (20, 1900), (30, 2300)] };
        assert!((memory.per_call_kib() - 40.0).abs() < 1e-9);
    }
}
