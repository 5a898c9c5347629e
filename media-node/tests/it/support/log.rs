//! Everything that any node of this test binary logs, at the most talkative level. One log for all: the tracing library
//! decides once per place in the program who listens there.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use tracing_subscriber::fmt::MakeWriter;

/// What has been written.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The log; it is set up by whoever comes first.
pub(crate) fn written() -> Written {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    let set_up = || {
        let written = Written::default();
        let subscriber = media_node::log::subscriber("trace", written.clone());
        tracing::subscriber::set_global_default(subscriber).expect("no other log");
        written
    };
    WRITTEN.get_or_init(set_up).clone()
}
