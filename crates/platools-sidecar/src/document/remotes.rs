//! All documents of servers: who fetches puts them here, who plans reads what is here.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fmt, io};

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::copy::Copy;
use super::made::{Made, Refused, selection_of};
use super::remote::{FetchError, Fetched, Remote};
use crate::config::OpenApi;
use crate::fingerprint::Fingerprint;

/// Tells the documents of a file apart: a hash, since URLs may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RemoteId(String);

/// The documents of servers. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remotes(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    places: BTreeMap<RemoteId, Place>,
    /// Whether a plan was whole.
    has_begun: bool,
}

#[derive(Debug, Default)]
struct Place {
    /// Whether the state directory was looked into.
    is_loaded: bool,
    copy: Option<Arc<Copy>>,
    /// What a selection takes from the copy.
    made: Option<(Fingerprint, Arc<Made>)>,
    /// When the server said last that the copy is what it has.
    confirmed: Option<Instant>,
    /// Whether the latest plan uses it.
    is_used: bool,
}

impl RemoteId {
    /// The document at a URL that is fetched with these headers, each with the reference to what it holds: the nth of those
    /// that agree in all of that.
    pub(crate) fn new(url: &str, headers: &[(&str, &str)], nth: usize) -> Self {
        let text = serde_json::to_string(&(url, headers, nth)).unwrap_or_default();
        let digest: [u8; 32] = Sha256::digest(text).into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(format!("{:032x}", u128::from_be_bytes(half)))
    }
}

impl fmt::Display for RemoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Remotes {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins another plan.
    pub(super) fn begin(&self) {
        self.places().places.values_mut().for_each(|place| place.is_used = false);
    }

    /// Forgets documents that the plan did not use, once it is whole.
    pub(super) fn end(&self) {
        let mut places = self.places();
        places.places.retain(|_, place| place.is_used);
        places.has_begun = true;
    }

    /// Whether there was a whole plan before.
    pub(crate) fn has_begun(&self) -> bool {
        self.places().has_begun
    }

    /// What a section takes from the document that is here; `None` while there is none.
    ///
    /// # Errors
    /// Why nothing can be taken from the document that is known to be one.
    pub(crate) fn made(&self, id: &RemoteId, file: &OpenApi) -> Result<Option<Arc<Made>>, Refused> {
        self.places().places.entry(id.clone()).or_default().is_used = true;
        let selection = selection_of(file);
        let copy = match self.places().places.get(id) {
            Some(Place { made: Some((known, made)), .. }) if *known == selection => {
                return Ok(Some(Arc::clone(made)));
            }
            Some(Place { copy: Some(copy), .. }) => Arc::clone(copy),
            _ => return Ok(None),
        };
        let bytes = copy.unpack().map_err(|error| Refused::Document(error.to_string()))?;
        let made = Arc::new(Made::of(&bytes, file)?);
        if let Some(place) = self.places().places.get_mut(id)
            && place.copy.as_ref().is_some_and(|now| Arc::ptr_eq(now, &copy))
        {
            place.made = Some((selection, Arc::clone(&made)));
        }
        Ok(Some(made))
    }

    /// Takes the copy of the state directory, if there is one. To be done before [`made`](Self::made); later calls do nothing.
    ///
    /// # Errors
    /// Why the copy is of no use.
    pub(crate) fn load(&self, id: &RemoteId, state_dir: &Path) -> io::Result<()> {
        let place = |places: &mut Places, copy: Option<Arc<Copy>>| {
            let place = places.places.entry(id.clone()).or_default();
            place.copy = place.copy.take().or(copy);
            std::mem::replace(&mut place.is_loaded, true)
        };
        if place(&mut self.places(), None) {
            return Ok(());
        }
        if let Some(copy) = Copy::load(state_dir, id)? {
            copy.unpack()?;
            place(&mut self.places(), Some(Arc::new(copy)));
        }
        Ok(())
    }

    /// Asks the server within `time`, and puts the document here if it is another one: then it is returned. One of which
    /// nothing can be made is not taken, and what is here stays.
    ///
    /// # Errors
    /// Why there is no document.
    pub(crate) async fn update(
        &self,
        id: &RemoteId,
        remote: &Remote,
        file: &Arc<OpenApi>,
        time: Duration,
    ) -> Result<Option<Arc<Copy>>, FetchError> {
        let known = self.copy(id);
        let (bytes, validators) =
            match remote.fetch(known.as_ref().map(|copy| &copy.validators), time).await? {
                Fetched::New(bytes, validators) => (bytes, validators),
                Fetched::Same => {
                    self.confirm(id, None);
                    return Ok(None);
                }
            };
        if let Some(known) = known.filter(|known| known.is_of(&bytes)) {
            let renewed = (known.validators != validators).then(|| known.with(validators));
            self.confirm(id, renewed);
            return Ok(None);
        }
        let section = Arc::clone(file);
        let made = tokio::task::spawn_blocking(move || {
            Made::of(&bytes, &section).map(|made| (Arc::new(made), Arc::new(Copy::of(&bytes, validators))))
        });
        let made = made.await.map_err(|_panic| {
            FetchError::new("reading the document panicked, which is a mistake of the sidecar")
        })?;
        let (made, copy) = made
            .map_err(|refused| FetchError::new(format!("what the server sent cannot be used: {refused}")))?;
        self.put(id, file, Arc::clone(&copy), made);
        Ok(Some(copy))
    }

    fn put(&self, id: &RemoteId, file: &OpenApi, copy: Arc<Copy>, made: Arc<Made>) {
        let place = Place {
            is_loaded: true,
            copy: Some(copy),
            made: Some((selection_of(file), made)),
            confirmed: Some(Instant::now()),
            is_used: true,
        };
        self.places().places.insert(id.clone(), place);
    }

    /// Notes that the server has the document that is here, and what it says of it now.
    fn confirm(&self, id: &RemoteId, renewed: Option<Copy>) {
        if let Some(place) = self.places().places.get_mut(id) {
            place.confirmed = Some(Instant::now());
            place.copy = renewed.map(Arc::new).or_else(|| place.copy.take());
        }
    }

    /// Forgets a document of which nothing can be made.
    pub(crate) fn discard(&self, id: &RemoteId) {
        if let Some(place) = self.places().places.get_mut(id) {
            (place.copy, place.made) = (None, None);
        }
    }

    /// The copy of the document that is here.
    pub(crate) fn copy(&self, id: &RemoteId) -> Option<Arc<Copy>> {
        self.places().places.get(id)?.copy.clone()
    }

    /// How long ago the server said that it has the document that is here; `None` if this process has not asked.
    pub(crate) fn confirmed(&self, id: &RemoteId) -> Option<Duration> {
        self.places().places.get(id)?.confirmed.map(|at| at.elapsed())
    }

    /// When the document that is here was fetched, and how many tools there are of it.
    pub(crate) fn look(&self, id: &RemoteId) -> Option<(SystemTime, usize)> {
        let places = self.places();
        let place = places.places.get(id)?;
        Some((place.copy.as_ref()?.fetched, place.made.as_ref().map_or(0, |(_, made)| made.tools.len())))
    }
}
