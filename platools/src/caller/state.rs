//! Values that the host shares with handlers, injected by type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::tool::{Requirement, RequirementKind};

/// A value shared by all calls, injected by type: `db: State<Db>` after `.state(Db::open()?)`.
///
/// Cheap to clone. If a tool takes a type that was not registered, building the host fails.
///
/// ```
/// use platools::State;
///
/// let numbers = State::new(vec![1, 2, 3]);
/// assert_eq!(numbers.len(), 3); // it is the value, by `Deref`
/// ```
pub struct State<T: ?Sized>(Arc<T>);

impl<T> State<T> {
    /// Wraps a value, to call a tool function directly in tests.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: ?Sized> State<T> {
    /// Returns the shared value.
    pub fn into_inner(self) -> Arc<T> {
        self.0
    }
}

impl<T: ?Sized> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> From<Arc<T>> for State<T> {
    fn from(value: Arc<T>) -> Self {
        Self(value)
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("State").field(&&*self.0).finish()
    }
}

/// The shared values of one host, by type.
#[derive(Clone, Default)]
pub(crate) struct States {
    // Each value is an `Arc<T>` stored under the id of `T`, so that `T` may be a trait object.
    values: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl States {
    /// Adds a value; replaces an earlier value of the same type.
    pub(crate) fn insert<T: ?Sized + Send + Sync + 'static>(&mut self, value: Arc<T>) {
        self.values.insert(TypeId::of::<T>(), Arc::new(value));
    }

    pub(crate) fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.values.get(&TypeId::of::<T>())?.downcast_ref::<Arc<T>>().cloned()
    }

    /// Returns whether the required state is registered; other requirements count as satisfied.
    pub(crate) fn satisfies(&self, requirement: Requirement) -> bool {
        match requirement.kind {
            RequirementKind::State { type_id, .. } => self.values.contains_key(&type_id),
            RequirementKind::Identity { .. } => true,
        }
    }

    /// Returns how to satisfy a requirement, for an error text.
    pub(crate) fn advice(&self, requirement: Requirement) -> String {
        let name = requirement.type_name();
        let RequirementKind::State { shared_type_id, .. } = requirement.kind else { return String::new() };
        if self.values.contains_key(&shared_type_id) {
            return format!(
                "an `Arc` of it is: give that to `.shared_state(…)` instead of `.state(…)`, or take `State<Arc<{name}>>`"
            );
        }
        if name.starts_with("dyn ") {
            return format!("call `.shared_state::<{name}>(Arc::new(value))` before `.run()`");
        }
        "call `.state(value)` before `.run()`".to_owned()
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_trait_objects_are_found_by_type() {
        let mut states = States::default();
        states.insert(Arc::new(5_u32));
        states.insert::<dyn fmt::Display + Send + Sync>(Arc::new("shown"));
        assert_eq!(states.get::<u32>().as_deref(), Some(&5));
        assert_eq!(states.get::<dyn fmt::Display + Send + Sync>().unwrap().to_string(), "shown");
        assert_eq!(states.get::<u64>(), None);
        assert!(states.satisfies(Requirement::state::<u32>()));
        assert!(!states.satisfies(Requirement::state::<u64>()));
    }
}
