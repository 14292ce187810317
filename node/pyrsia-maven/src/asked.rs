//! Being told to end, by a person or by the machine.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a process to end. From when this is made on they no longer end it by themselves.
pub struct Asked {
    terminate: Signal,
    interrupt: Signal,
}

impl Asked {
    /// Takes them.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
