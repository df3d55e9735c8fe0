//! Addresses of pods: one each, all of them loopback.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Where pods get their addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodNetwork {
    base: u32,
    size: u32,
}

impl PodNetwork {
    /// The network `address/prefix_length`. `None` unless it lies in 127.0.0.0/8 and has room for a pod.
    #[must_use]
    pub fn new(address: Ipv4Addr, prefix_length: u8) -> Option<PodNetwork> {
        let size = 1_u32.checked_shl(32_u32.checked_sub(prefix_length.into())?)?;
        let fits = address.is_loopback() && prefix_length >= 8 && size >= 4;
        fits.then(|| PodNetwork {
            base: u32::from(address) & !(size - 1),
            size,
        })
    }

    /// A network of 254 addresses in 127.16.0.0 to 127.239.255.255 that differs with each call and each process, so that
    /// sandboxes side by side do not get into each other's way: in one address only one pod can listen on a port.
    #[must_use]
    pub fn apart() -> PodNetwork {
        /// Networks of a process before it comes to those of the next.
        const OF_PROCESS: u32 = 64;
        const SIZE: u32 = 256;
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let calls = CALLS.fetch_add(1, Ordering::Relaxed);
        let number = std::process::id()
            .wrapping_mul(OF_PROCESS)
            .wrapping_add(calls);
        PodNetwork {
            base: u32::from(Ipv4Addr::new(127, 16, 0, 0)) + number % (224 * 256) * SIZE,
            size: SIZE,
        }
    }
}

impl Default for PodNetwork {
    /// 127.9.0.0/16.
    fn default() -> PodNetwork {
        PodNetwork {
            base: u32::from(Ipv4Addr::new(127, 9, 0, 0)),
            size: 1 << 16,
        }
    }
}

/// Hands out addresses of a network. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    network: PodNetwork,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    last: u32,
    taken: HashSet<u32>,
}

/// An address in use; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    address: Ipv4Addr,
    offset: u32,
    state: Arc<Mutex<State>>,
}

impl Addresses {
    pub(crate) fn new(network: PodNetwork) -> Addresses {
        Addresses {
            network,
            state: Arc::default(),
        }
    }

    /// The next free address, going round so that one is not used again soon; `None` if all are taken.
    pub(crate) fn lease(&self) -> Option<Lease> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Without the network's own address and its broadcast address.
        let usable = self.network.size - 2;
        let first = state.last;
        let offset = (0..usable)
            .map(|n| (first + n) % usable + 1)
            .find(|offset| !state.taken.contains(offset))?;
        state.last = offset;
        state.taken.insert(offset);
        Some(Lease {
            address: Ipv4Addr::from(self.network.base + offset),
            offset,
            state: Arc::clone(&self.state),
        })
    }
}

impl Lease {
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .taken
            .remove(&self.offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_loopback_and_have_room() {
        for (address, prefix, valid) in [
            ([127, 9, 0, 0], 16, true),
            ([127, 0, 0, 0], 8, true),
            ([127, 0, 0, 0], 7, false),
            ([127, 9, 0, 0], 31, false),
            ([127, 9, 0, 0], 33, false),
            ([10, 0, 0, 0], 16, false),
        ] {
            assert_eq!(
                PodNetwork::new(address.into(), prefix).is_some(),
                valid,
                "{address:?}/{prefix}"
            );
        }
    }

    #[test]
    fn networks_apart_do_not_overlap() {
        let (one, other) = (PodNetwork::apart(), PodNetwork::apart());
        assert!(one.base.abs_diff(other.base) >= one.size);
        for network in [one, other] {
            let octets = Ipv4Addr::from(network.base).octets();
            assert_eq!((octets[0], octets[3]), (127, 0));
            assert!((16..240).contains(&octets[1]), "{octets:?}");
        }
    }

    #[test]
    fn every_pod_has_its_own_address_and_gives_it_back() {
        let network = PodNetwork::new(Ipv4Addr::new(127, 9, 0, 8), 29).unwrap();
        let addresses = Addresses::new(network);
        let mut leases: Vec<Lease> = std::iter::from_fn(|| addresses.lease()).collect();
        let all: Vec<u8> = leases
            .iter()
            .map(|lease| lease.address().octets()[3])
            .collect();
        assert_eq!(all, [9, 10, 11, 12, 13, 14]);
        leases.remove(2);
        assert_eq!(
            addresses.lease().unwrap().address(),
            Ipv4Addr::new(127, 9, 0, 11)
        );
    }
}
