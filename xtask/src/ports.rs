//! Ports of the loopback interface for programs that must be told theirs.

use std::net::TcpListener;

use anyhow::{Context as _, Result};

/// Ports that were free a moment ago, all different.
pub(crate) fn reserve_ports<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::reserve_ports;

    #[test]
    fn reserved_ports_differ_and_can_be_bound() {
        let ports = reserve_ports::<4>().expect("ports");
        let mut distinct = ports.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 4);
    }
}
