//! The memory of nonces under many orders of threads: a nonce is admitted once, and what a stop stores stays.

use shuttle::thread;

use super::tests::{NOON, SKEW};
use super::*;
use crate::sync::{Mutex, explore};

/// A store in memory.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<Option<Vec<u8>>>>);

impl ReplayStore for Disk {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn save(&self, state: &[u8]) -> io::Result<()> {
        *self.0.lock().unwrap() = Some(state.to_vec());
        Ok(())
    }
}

#[test]
fn a_nonce_is_admitted_once_and_a_stop_is_not_overwritten() {
    explore(1_000, || {
        let disk = Disk::default();
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_micros(NOON.unsigned_abs());
        let open = || ReplayMemory::open(&VerifierOptions::default(), disk.clone(), now).unwrap();
        let memory = Arc::new(open());
        let calls = ["same", "same", "other"].map(|nonce| {
            let memory = Arc::clone(&memory);
            thread::spawn(move || memory.remember(nonce, NOON, NOON, SKEW).is_ok())
        });
        let accepted = calls.map(|thread| thread.join().unwrap());
        assert!(accepted[0] != accepted[1] && accepted[2], "{accepted:?}");
        memory.mark_stopped();
        let mut memory = Arc::into_inner(memory).unwrap();
        // What the thread was about to write is written by now.
        memory.keeper.take().unwrap().stop();
        let stored = Record::read(&disk.load().unwrap().unwrap()).unwrap();
        assert!(stored.nonces.is_some());
        drop(memory);
        let memory = open();
        for nonce in ["same", "other"] {
            assert_eq!(memory.remember(nonce, NOON, NOON, SKEW).unwrap_err().reason(), "nonce_replay");
        }
    });
}
