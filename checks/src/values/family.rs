//! Families of addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::BadValue;

/// Which addresses of a name are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpFamily {
    /// All of them, in the order the resolver gives.
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// IPv4 first, then IPv6.
    PreferV4,
    /// IPv6 first, then IPv4.
    PreferV6,
}

impl IpFamily {
    /// The addresses that may be used, in the order in which to try them.
    pub fn order<T>(self, mut all: Vec<T>, ip: impl Fn(&T) -> IpAddr) -> Vec<T> {
        match self {
            IpFamily::Any => {}
            IpFamily::V4 => all.retain(|a| ip(a).is_ipv4()),
            IpFamily::V6 => all.retain(|a| ip(a).is_ipv6()),
            IpFamily::PreferV4 => all.sort_by_key(|a| ip(a).is_ipv6()),
            IpFamily::PreferV6 => all.sort_by_key(|a| ip(a).is_ipv4()),
        }
        all
    }
}

impl FromStr for IpFamily {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<IpFamily, BadValue> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "any" => IpFamily::Any,
            "4" | "ip4" | "ipv4" => IpFamily::V4,
            "6" | "ip6" | "ipv6" => IpFamily::V6,
            "prefer-4" => IpFamily::PreferV4,
            "prefer-6" => IpFamily::PreferV6,
            _ => return Err(BadValue::expected("any, 4, 6, prefer-4 or prefer-6")),
        })
    }
}

impl fmt::Display for IpFamily {
    /// As in "has no IPv4 address".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IpFamily::V4 => "IPv4",
            IpFamily::V6 => "IPv6",
            IpFamily::Any | IpFamily::PreferV4 | IpFamily::PreferV6 => "IP",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_filter_and_order() {
        let all: Vec<IpAddr> = vec!["::1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        let order = |family: &str| {
            let family: IpFamily = family.parse().unwrap();
            family
                .order(all.clone(), |ip| *ip)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(order("any"), ["::1", "127.0.0.1"]);
        assert_eq!(order("4"), ["127.0.0.1"]);
        assert_eq!(order("ipv6"), ["::1"]);
        assert_eq!(order("prefer-4"), ["127.0.0.1", "::1"]);
        assert_eq!(order("prefer-6"), ["::1", "127.0.0.1"]);
        assert!("5".parse::<IpFamily>().is_err());
    }
}
