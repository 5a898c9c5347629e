//! The Worker's entry points. Only the shape of the bundle stands here so far: the three Durable Object classes
//! of the contract and a `fetch` handler, each answering 501.

use worker::{Context, DurableObject, Env, Request, Response, Result, State, durable_object, event};

/// Answers every request that reaches the Worker.
#[event(fetch)]
async fn fetch(_request: Request, _env: Env, _context: Context) -> Result<Response> {
    Response::error("not implemented", 501)
}

macro_rules! object {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[durable_object(fetch)]
        pub struct $name;

        impl DurableObject for $name {
            fn new(_state: State, _env: Env) -> Self {
                Self
            }

            async fn fetch(&self, _request: Request) -> Result<Response> {
                Response::error("not implemented", 501)
            }
        }
    };
}

object!(
    /// The truth of one call.
    CallRoom
);
object!(
    /// Which nodes are alive and which calls are live.
    Switchboard
);
object!(
    /// One campaign's dialler.
    Campaign
);
