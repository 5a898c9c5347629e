//! Passes frames through a session, for counting instructions:
//! `valgrind --tool=callgrind target/release/examples/frames up 20 10000`; twice with different counts, and the
//! difference is the frames' alone. Arguments: `up` or `down`, a delta's length in milliseconds, how many.

#[path = "../benches/passthrough/live.rs"]
mod live;

use live::Live;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [direction, ms, count] = arguments.as_slice() else { panic!("frames up|down <ms> <count>") };
    let (ms, count): (u64, usize) = (ms.parse().expect("milliseconds"), count.parse().expect("a count"));
    let mut live = Live::new(ms);
    let bytes: usize = match direction.as_str() {
        "up" => (0..count).map(|_| live.frame_up()).sum(),
        "down" => (0..count).map(|_| live.delta_down()).sum(),
        other => panic!("`{other}` is neither up nor down"),
    };
    println!("{bytes} bytes came out");
}
