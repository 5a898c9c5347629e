//! The media node: a native process that carries telephone audio between Twilio Media Streams and AI voice providers, one
//! task per call. What a call does is decided in the `session` crate; here are the sockets, the clock and the process around
//! it. Nothing here stores anything: a call's truth is its room at the edge.
//!
//! | module | what it is |
//! |---|---|
//! | [`config`] | variables, checked all together |
//! | [`standalone`] | a node without an edge: plan file, facts as lines |
//! | `node`, `server`, [`admission`], [`drain`] | the process: its doors, its places, its end |
//! | `call`, `arrival`, `driver` | a stream from upgrade to end; the driver is where sockets, clock and session meet |
//! | `leg`, `outbox`, `wire`, `bell`, `alarm` | one socket of a call, what waits for it, its bytes, its waker; a call's one timer |
//! | `provider_link`, `dial` | the provider's socket |
//! | `edge` | the room's socket and the heartbeat |
//! | [`metrics`], [`log`] | what operators see |

mod alarm;
mod arrival;
mod bell;
mod call;
mod clock;
mod dial;
mod driver;
mod edge;
mod leg;
mod node;
mod outbox;
mod provider_link;
mod server;
mod wire;

pub mod admission;
pub mod config;
pub mod drain;
pub mod log;
pub mod metrics;
pub mod standalone;

pub use config::Config;
pub use node::{Node, StartError};

use std::io::Write as _;
use std::sync::mpsc::{Receiver, sync_channel};
use tokio::sync::oneshot;

/// Runs a node until `shutdown` is asked for and its calls are over. Prints `{"listening":"address"}` on standard output once
/// it serves, and after it, standalone, one line per fact.
pub async fn run(config: Config, shutdown: drain::Shutdown) -> Result<(), StartError> {
    let (lines, waiting) = sync_channel(standalone::MAX_LINES_WAITING);
    let node = Node::bind(config, lines.clone())?;
    let listening = serde_json::json!({ "listening": node.address().to_string() });
    // The first line of all; the channel is empty, so it is taken.
    let _ = lines.try_send(listening.to_string());
    let (printed, all_printed) = oneshot::channel();
    std::thread::spawn(move || {
        print(&waiting);
        let _ = printed.send(());
    });
    node.run(shutdown).await;
    // A reader that does not read, or a line too many, must not keep the process alive.
    let _ = lines.try_send(NO_MORE.to_owned());
    let _ = tokio::time::timeout(drain::FLUSH_LINES, all_printed).await;
    Ok(())
}

/// The line after which none follows. No fact is empty.
const NO_MORE: &str = "";

/// Writes lines to standard output from a thread of its own: a reader that stalls must not stall the calls.
fn print(lines: &Receiver<String>) {
    let mut out = std::io::stdout().lock();
    while let Ok(line) = lines.recv()
        && line != NO_MORE
    {
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}
