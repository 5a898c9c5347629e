//! Plays everyone around Trunkline: Twilio, the person on the telephone, the AI provider, a watching browser. Its own module
//! docs say what each part is; nothing here is part of the product, and the product never depends on it.

pub mod caller;
pub mod demo;
mod https;
pub mod operator;
pub mod provider;
pub mod relay_bench;
pub mod scenario;
pub mod screen;
pub mod speech;
pub mod twilio;
pub mod verdict;
pub mod watcher;
pub mod world;
