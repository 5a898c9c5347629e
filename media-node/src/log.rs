//! The node's log: one JSON object a line on standard error. Only the node's own records are written, at any level: the
//! libraries below it may print what passes through them, and what passes through them is private. Records name calls by
//! `CallId` and `CallSid` and carry no number, text, ticket or key.

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// Whether the text is a filter that [`subscriber`] takes.
pub fn is_filter(text: &str) -> bool {
    EnvFilter::builder().parse(text).is_ok()
}

/// What writes the node's records to `writer`. `filter` is a level, or a list of `target=level`; other crates' targets are
/// left out whatever it says.
pub fn subscriber<W>(filter: &str, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let chosen = EnvFilter::builder().parse_lossy(filter);
    let own = filter_fn(|record| {
        let target = record.target();
        target == "media_node" || target.starts_with("media_node::")
    });
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(writer);
    tracing_subscriber::registry().with(lines.with_filter(chosen.and(own)))
}

/// Installs the log of a process, and a panic hook that says where but not with which words: they may quote a message.
pub fn init(filter: &str) -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
    tracing::subscriber::set_global_default(subscriber(filter, std::io::stderr))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
    Ok(())
}
