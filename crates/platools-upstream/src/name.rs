//! The name of a server in messages and the log.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// A name that may change while the server runs. Clones are the same name.
#[derive(Clone)]
pub(crate) struct Name(Arc<RwLock<Arc<str>>>);

impl Name {
    pub(crate) fn new(name: &str) -> Self {
        Self(Arc::new(RwLock::new(name.into())))
    }

    /// The name of this moment.
    pub(crate) fn get(&self) -> Arc<str> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the name. Returns whether it was another one.
    pub(crate) fn set(&self, name: &str) -> bool {
        let is_other = *self.get() != *name;
        if is_other {
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = name.into();
        }
        is_other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.get())
    }
}
