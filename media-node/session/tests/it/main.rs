//! Calls as conversations: what comes in at which moment, what must come out, and nothing else.

mod barge_in;
mod call;
mod echo;
mod endings;
mod orders;
mod properties;
mod provider_loss;
mod rescue;
mod stage;
