//! What is counted, as Prometheus reads it. Counters of the audio path are kept ready, so that a frame costs additions and
//! no look-up. Where a thing is counted is where it happens; nothing here decides anything.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use shared::call::Termination;

/// One label named `reason`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: String,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verdict {
    reason: String,
    result: String,
}

/// Whose socket, and which way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Way {
    leg: &'static str,
    way: &'static str,
}

/// Which way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    way: &'static str,
}

/// Whose socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    leg: &'static str,
}

/// Messages and bytes of one socket, both ways. Bytes are those of the TCP stream.
#[derive(Debug, Clone)]
pub(crate) struct Traffic {
    pub(crate) messages_in: Counter,
    pub(crate) messages_out: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) dropped: Counter,
    pub(crate) malformed: Counter,
}

/// All counters of a node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    started: Counter,
    refused: Family<Reason, Counter>,
    ended: Family<Verdict, Counter>,
    live: Gauge,
    pub(crate) twilio: Traffic,
    pub(crate) provider: Traffic,
    pub(crate) edge: Traffic,
    pub(crate) frames_in: Counter,
    pub(crate) frames_out: Counter,
    pub(crate) uplink_lost_ms: Counter,
    pub(crate) late_frames: Counter,
    pub(crate) barge_ins: Counter,
    dials: Family<Reason, Counter>,
    dial_seconds: Histogram,
    pub(crate) edge_connects: Counter,
    pub(crate) edge_losses: Counter,
    pub(crate) facts_unacknowledged: Gauge,
    pub(crate) facts_lost: Counter,
    heartbeats: Family<Reason, Counter>,
    pub(crate) panics: Counter,
    pub(crate) loop_lag: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("trunkline");
        let messages = Family::<Way, Counter>::default();
        let bytes = Family::<Way, Counter>::default();
        let dropped = Family::<Of, Counter>::default();
        let malformed = Family::<Of, Counter>::default();
        let traffic = |leg: &'static str| Traffic {
            messages_in: messages.get_or_create_owned(&Way { leg, way: "in" }),
            messages_out: messages.get_or_create_owned(&Way { leg, way: "out" }),
            bytes_in: bytes.get_or_create_owned(&Way { leg, way: "in" }),
            bytes_out: bytes.get_or_create_owned(&Way { leg, way: "out" }),
            dropped: dropped.get_or_create_owned(&Of { leg }),
            malformed: malformed.get_or_create_owned(&Of { leg }),
        };
        let (twilio, provider, edge) = (traffic("twilio"), traffic("provider"), traffic("edge"));
        let frames = Family::<Direction, Counter>::default();
        let frames_in = frames.get_or_create_owned(&Direction { way: "in" });
        let frames_out = frames.get_or_create_owned(&Direction { way: "out" });
        let uplink_lost_ms = Counter::default();
        let (started, refused, ended, live) =
            (Counter::default(), Family::default(), Family::<Verdict, Counter>::default(), Gauge::default());
        let (late_frames, barge_ins, panics) = (Counter::default(), Counter::default(), Counter::default());
        let (dials, heartbeats) = (Family::<Reason, Counter>::default(), Family::<Reason, Counter>::default());
        let dial_seconds = Histogram::new([0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0]);
        let loop_lag = Histogram::new([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5]);
        let (edge_connects, edge_losses) = (Counter::default(), Counter::default());
        let (facts_unacknowledged, facts_lost) = (Gauge::default(), Counter::default());

        registry.register("calls_live", "Calls carried now", live.clone());
        registry.register("calls_started", "Streams that brought their start message", started.clone());
        registry.register("calls_refused", "Streams that were refused", Family::clone(&refused));
        registry.register("calls_ended", "Calls that ended", ended.clone());
        registry.register("messages", "WebSocket messages", messages.clone());
        registry.register_with_unit("stream", "Bytes of the TCP streams", Unit::Bytes, bytes.clone());
        registry.register("audio_dropped", "Audio messages dropped because a peer did not read", dropped.clone());
        registry.register("decode_errors", "Messages that broke their protocol", malformed.clone());
        registry.register("frames", "Audio messages of callers (in) and for callers (out)", frames);
        registry.register(
            "uplink_lost_milliseconds",
            "Callers' audio that no provider heard, milliseconds",
            uplink_lost_ms.clone(),
        );
        registry.register("late_frames", "Caller's frames more than 60 ms after the one before", late_frames.clone());
        registry.register("barge_ins", "Times a caller interrupted the agent", barge_ins.clone());
        registry.register("provider_dials", "Attempts to open a provider's socket", dials.clone());
        registry.register_with_unit(
            "provider_dial",
            "Time to an open provider's socket",
            Unit::Seconds,
            dial_seconds.clone(),
        );
        registry.register("edge_connects", "Room sockets opened", edge_connects.clone());
        registry.register("edge_losses", "Room sockets lost or not opened", edge_losses.clone());
        registry.register("facts_unacknowledged", "Facts the rooms have not stored yet", facts_unacknowledged.clone());
        registry.register("facts_lost", "Facts given up", facts_lost.clone());
        registry.register("heartbeats", "Heartbeats to the edge", heartbeats.clone());
        registry.register("call_panics", "Calls ended by a fault of ours", panics.clone());
        registry.register_with_unit("loop_lag", "How late the runtime's clock ticks", Unit::Seconds, loop_lag.clone());
        Self {
            registry,
            started,
            refused,
            ended,
            live,
            twilio,
            provider,
            edge,
            frames_in,
            frames_out,
            uplink_lost_ms,
            late_frames,
            barge_ins,
            dials,
            dial_seconds,
            edge_connects,
            edge_losses,
            facts_unacknowledged,
            facts_lost,
            heartbeats,
            panics,
            loop_lag,
        }
    }
}

impl Metrics {
    /// Everything as Prometheus's text (OpenMetrics 1.0). `live` is the number of calls at this moment.
    pub fn text(&self, live: usize) -> String {
        self.live.set(i64::try_from(live).unwrap_or(i64::MAX));
        let mut text = String::with_capacity(8 * 1024);
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub(crate) fn call_started(&self) {
        self.started.inc();
    }

    pub(crate) fn call_refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason: reason.to_owned() }).inc();
    }

    pub(crate) fn call_ended(&self, verdict: Termination) {
        let reason = word(&verdict.reason);
        let result = word(&verdict.result);
        self.ended.get_or_create(&Verdict { reason, result }).inc();
    }

    pub(crate) fn dialled(&self, outcome: &'static str, seconds: f64) {
        self.dials.get_or_create(&Reason { reason: outcome.to_owned() }).inc();
        if outcome == "opened" {
            self.dial_seconds.observe(seconds);
        }
    }

    pub(crate) fn heartbeat(&self, outcome: &'static str) {
        self.heartbeats.get_or_create(&Reason { reason: outcome.to_owned() }).inc();
    }
}

/// The name that a value has on the wire.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(_) | Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::call::EndReason;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::default();
        metrics.call_started();
        metrics.call_refused("full");
        metrics.call_ended(EndReason::CallerHungUp.into());
        metrics.twilio.messages_in.inc_by(3);
        metrics.dialled("opened", 0.04);
        let text = metrics.text(2);
        for line in [
            "trunkline_calls_live 2",
            "trunkline_calls_started_total 1",
            "trunkline_calls_refused_total{reason=\"full\"} 1",
            "trunkline_calls_ended_total{reason=\"caller_hung_up\",result=\"completed\"} 1",
            "trunkline_messages_total{leg=\"twilio\",way=\"in\"} 3",
            "trunkline_stream_bytes_total{leg=\"provider\",way=\"out\"} 0",
            "trunkline_provider_dial_seconds_count 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
