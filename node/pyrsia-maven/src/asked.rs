//! Being told to end, by a person or by the machine.

use std::future::Future;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{CommandError, Exit};

/// Does the work, unless the process is asked to end before that: then the work is dropped, with all that it had begun.
///
/// # Errors
/// Those of the work, and [`ended_early`].
pub async fn unless_asked<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut asked = Asked::listen()?;
    tokio::select! {
        done = work => done,
        () = asked.wait() => Err(ended_early()),
    }
}

/// What a command says that was asked to end.
pub fn ended_early() -> anyhow::Error {
    CommandError::new(Exit::Failed, "ended before there was a result, as it was asked to").into()
}

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
