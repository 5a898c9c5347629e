//! What a frame costs in each direction. `cargo bench -p trunkline-session`.

mod live;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use live::Live;

fn passthrough(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("passthrough");
    group.throughput(Throughput::Elements(1));
    group.bench_function("caller's 20 ms frame to the provider", |bench| {
        let mut live = Live::new(20);
        bench.iter(|| live.frame_up());
    });
    for ms in [20, 100, 200, 400] {
        group.bench_function(format!("provider's {ms} ms delta to the caller"), |bench| {
            let mut live = Live::new(ms);
            bench.iter(|| live.delta_down());
        });
    }
    group.finish();
}

criterion_group!(benches, passthrough);
criterion_main!(benches);
