//! The Worker: entry points, Durable Objects and the core's ports over the runtime. The only crate that names `worker`; it
//! converts and performs, and decides nothing.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]

mod alarm;
mod call_room;
mod campaign;
mod clock;
mod console;
mod database;
mod event_stream;
mod inbound;
mod objects;
mod outbound;
mod patience;
mod sockets;
mod sqlite;
mod switchboard;
mod watchers;
mod world;

use crate::call_room::RoomSocket;
use crate::inbound::bare;
use crate::switchboard::BoardSocket;
use crate::world::World;
use edge_core::handlers;
use edge_core::http::{Reply, Upgrade};
use edge_core::ports::{Journal as _, Level, Record};
use edge_core::switchboard::MAIN_OBJECT;
use worker::wasm_bindgen::JsValue;
use worker::{Context, Env, MessageBatch, MessageExt as _, Request, Response, Result, event};

/// Answers every request that reaches the Worker.
#[event(fetch)]
async fn fetch(mut request: Request, env: Env, _context: Context) -> Result<Response> {
    if console::is_for(&request) {
        return Ok(console::respond(request, &env).await);
    }
    let now = clock::now();
    let world = World::new(env);
    let read = match inbound::read(&mut request).await {
        Ok(read) => read,
        Err(_) => {
            let message = "a request's body could not be read";
            world.record(Record { level: Level::Info, message, call: None, detail: None });
            return Ok(bare(400));
        }
    };
    let reply = match world.config() {
        Ok(config) => handlers::handle(&config, &world, now, read).await,
        Err(invalid) => Reply::Respond(handlers::misconfigured(&invalid, &read)),
    };
    Ok(perform(&world, reply).await)
}

/// Does what the core decided.
async fn perform(world: &World, reply: Reply) -> Response {
    let env = world.env();
    let upgraded = match reply {
        Reply::Respond(response) => return inbound::respond(response).unwrap_or_else(|_| bare(500)),
        Reply::Stream { call, after, pass } => return event_stream::respond(env, &call, after, pass).await,
        Reply::Upgrade(Upgrade::Node { call, entry }) => {
            objects::attach(env, "CALL_ROOM", call.as_str(), &RoomSocket::Node { entry }).await
        }
        Reply::Upgrade(Upgrade::Watch { call, from_seq, pass }) => {
            objects::attach(env, "CALL_ROOM", call.as_str(), &RoomSocket::Watcher { from_seq, pass }).await
        }
        Reply::Upgrade(Upgrade::Board { pass }) => {
            objects::attach(env, "SWITCHBOARD", MAIN_OBJECT, &BoardSocket::Watcher { pass }).await
        }
    };
    upgraded.unwrap_or_else(|| bare(503))
}

/// Messages of the deliveries' queue and of its dead-letter queue. This version produces none; one that arrives all the
/// same (an older version's, an operator's) is acknowledged and noted. Always `Ok`: an error would be a panic.
#[event(queue)]
async fn queue(batch: MessageBatch<JsValue>, env: Env, _context: Context) -> Result<()> {
    let world = World::new(env);
    for message in batch.raw_iter() {
        let detail = Some(message.id());
        world.record(Record {
            level: Level::Warn,
            message: "a message of an unknown kind was dropped",
            call: None,
            detail,
        });
        message.ack();
    }
    Ok(())
}
