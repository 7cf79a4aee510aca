//! How many connections there may be: all together, and from one address. A place is given back
//! when it is dropped, so that no way out of a connection can forget it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::subscriber;

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    // No larger than `most`: whoever has no connection stands not in it.
    by_subscriber: HashMap<[u8; 16], usize>,
}

/// The place of one connection.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    /// `None` for an address that may take any number.
    counted: Option<[u8; 16]>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    All,
    /// This address has as many as one may have.
    Address,
}

impl Places {
    pub(super) fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_one, taken: Mutex::default() })
    }

    /// A place for a connection from `address`; `is_trusted` addresses speak for many and are not
    /// counted one by one.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr, is_trusted: bool) -> Result<Place, Full> {
        let counted = (!is_trusted).then(|| subscriber(address));
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.most {
            return Err(Full::All);
        }
        if let Some(subscriber) = counted {
            let of_one = taken.by_subscriber.entry(subscriber).or_default();
            if *of_one >= self.most_of_one {
                return Err(Full::Address);
            }
            *of_one += 1;
        }
        taken.all += 1;
        Ok(Place { places: Arc::clone(self), counted })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        let Some(subscriber) = self.counted else { return };
        let last = taken.by_subscriber.get_mut(&subscriber).is_some_and(|count| {
            *count -= 1;
            *count == 0
        });
        if last {
            taken.by_subscriber.remove(&subscriber);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_leaves_places_to_others_and_all_have_an_end() {
        let places = Places::new(3, 2);
        let a: Vec<_> =
            (0..2).map(|_| places.take(ip("192.0.2.1"), false).expect("free")).collect();
        assert_eq!(places.take(ip("192.0.2.1"), false).expect_err("its share"), Full::Address);
        let b = places.take(ip("192.0.2.2"), false).expect("free");
        assert_eq!(places.take(ip("192.0.2.3"), false).expect_err("full"), Full::All);
        drop((a, b));
        assert_eq!(places.taken(), 0);
        assert!(places.taken.lock().expect("whole").by_subscriber.is_empty(), "an address is kept");
        places.take(ip("192.0.2.1"), false).expect("free again");
    }

    #[test]
    fn a_trusted_proxy_may_take_them_all() {
        let places = Places::new(3, 1);
        let _held: Vec<_> =
            (0..3).map(|_| places.take(ip("192.0.2.1"), true).expect("free")).collect();
        assert_eq!(places.take(ip("192.0.2.1"), true).expect_err("full"), Full::All);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_mapped_one_its_ipv4() {
        let places = Places::new(9, 1);
        let _one = places.take(ip("2001:db8::1"), false).expect("free");
        assert_eq!(places.take(ip("2001:db8::2"), false).expect_err("same"), Full::Address);
        let _other = places.take(ip("2001:db8:0:1::1"), false).expect("another network");
        let _four = places.take(ip("192.0.2.1"), false).expect("free");
        assert_eq!(places.take(ip("::ffff:192.0.2.1"), false).expect_err("same"), Full::Address);
    }
}
