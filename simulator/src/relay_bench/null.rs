//! The null relay: for each connection one to the other side, and bytes both ways. It is what any relay on this runtime must
//! pay at least: two reads and two writes for a frame's round trip.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

/// The same as the node's read buffers.
const BUFFER: usize = 8 * 1024;

/// Serves until its process is killed.
pub(super) async fn run(upstream: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", serde_json::json!({ "listening": listener.local_addr()?.to_string() }));
    loop {
        let (mut near, _) = listener.accept().await?;
        spawn_local(async move {
            near.set_nodelay(true)?;
            let mut far = TcpStream::connect(upstream).await?;
            far.set_nodelay(true)?;
            copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER, BUFFER).await
        });
    }
}
