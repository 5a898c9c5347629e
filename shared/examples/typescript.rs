//! Prints the TypeScript of the browser-facing types: everything that `api` and `console_api` declare, and what those
//! mention. `cargo xtask gen-types` writes it to the console's folder and checks that nothing is missing.

use std::collections::BTreeMap;

use shared::{agent, api, console_api};
use ts_rs::{Config, TS, TypeVisitor};

/// Declarations by name, so that the file does not depend on the order of anything.
struct Declarations {
    config: Config,
    found: BTreeMap<String, String>,
}

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Types without a file of their own (String, Vec<…>) are written where they are used; what they hold is not.
        let declared = T::output_path().is_some()
            && self
                .found
                .insert(
                    T::ident(&self.config),
                    format!("{}export {}\n", T::docs().unwrap_or_default(), T::decl(&self.config)),
                )
                .is_some();
        if !declared {
            T::visit_dependencies(self);
            T::visit_generics(self);
        }
    }
}

fn main() {
    // JSON numbers are what a browser gets; what may exceed 2^53 crosses as text.
    let mut all = Declarations { config: Config::new().with_large_int("number"), found: BTreeMap::new() };
    macro_rules! visit { ($($module:ident :: { $($name:ident),+ $(,)? })+) => { $($(all.visit::<$module::$name>();)+)+ } }
    visit! {
        agent::{Agent}
        api::{
            AgentList, CallDetail, CallPage, CreatedKey, DefaultAgent, ErrorBody, Health, KeyList, NewKey, NumberList,
            PlaceCall, PlacedCall, PointNumber, SessionView, SetUp, SignIn, TranscriptBody, VoiceToken,
        }
        console_api::{BoardMessage, ClientMessage, ServerMessage}
    }
    println!("// Generated from the `shared` crate by `cargo xtask gen-types`. Do not edit.\n");
    println!("export const PROTOCOL_VERSION = {};", console_api::PROTOCOL_VERSION);
    println!("export const MAX_CLIENT_MESSAGE_BYTES = {};", console_api::MAX_CLIENT_MESSAGE_BYTES);
    println!("export const CLOSE_UNKNOWN_CALL = {};", console_api::CLOSE_UNKNOWN_CALL);
    println!("export const CLOSE_TOO_SLOW = {};", console_api::CLOSE_TOO_SLOW);
    println!("export const CLOSE_SIGNED_OUT = {};", console_api::CLOSE_SIGNED_OUT);
    for declaration in all.found.values() {
        print!("\n{declaration}");
    }
}
