//! The fault of an episode, held until a reset.

use crate::dump::Dump;
use crate::fault::PhysicsFault;
use bridge::BodyError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Holds the fault of an episode: once its physics has failed, nothing works until a reset.
#[derive(Clone, Debug)]
pub(crate) struct FaultLatch {
    body: String,
    folder: Option<Arc<Path>>,
    fault: Option<(String, Option<PathBuf>)>,
}

impl FaultLatch {
    /// A latch for the body called `body`; dumps go into `folder`, if there is one.
    pub(crate) const fn new(body: String, folder: Option<Arc<Path>>) -> Self {
        Self { body, folder, fault: None }
    }

    /// Forgets the fault: a new episode begins.
    pub(crate) fn release(&mut self) {
        self.fault = None;
    }

    /// # Errors
    /// While a fault is held.
    pub(crate) fn check(&self) -> Result<(), BodyError> {
        self.fault.as_ref().map_or(Ok(()), |(reason, dump)| {
            let reason = format!("{reason}; a reset comes first");
            Err(BodyError::SimFault { body: self.body.clone(), reason, dump: dump.clone() })
        })
    }

    /// Passes `result` on; a fault is held, and what `dump` makes of it is written.
    ///
    /// # Errors
    /// When `result` is a fault.
    pub(crate) fn hold(
        &mut self,
        result: Result<(), PhysicsFault>,
        dump: impl FnOnce(String) -> Dump,
    ) -> Result<(), BodyError> {
        let Err(fault) = result else { return Ok(()) };
        let mut reason = fault.to_string();
        let written = self.folder.as_ref().map(|folder| dump(reason.clone()).write(folder));
        let dump = match written {
            Some(Err(error)) => {
                reason = format!("{reason}; no dump of it: {error}");
                None
            }
            Some(Ok(path)) => Some(path),
            None => None,
        };
        self.fault = Some((reason.clone(), dump.clone()));
        Err(BodyError::SimFault { body: self.body.clone(), reason, dump })
    }
}
