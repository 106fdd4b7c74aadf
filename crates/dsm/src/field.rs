//! The system properties of a QRadar event and the typed values they hold.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of value a property holds. A text that is not of the kind counts as no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Any text.
    Text,
    /// An IPv4 or IPv6 address.
    Ip,
    /// An IPv6 address.
    Ipv6,
    /// A port, 0 to 65535.
    Port,
    /// A MAC address.
    Mac,
    /// A point in time.
    Time,
    /// An IP protocol by name or number.
    Protocol,
    /// A decimal number (custom properties).
    Number,
    /// An IPv4 address (custom properties of type ip).
    Ipv4,
}

impl Kind {
    /// What a value of this kind looks like, for messages.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Ip => "an IP address",
            Self::Ipv6 => "an IPv6 address",
            Self::Port => "a port (0 to 65535)",
            Self::Mac => "a MAC address",
            Self::Time => "a time stamp",
            Self::Protocol => "an IP protocol",
            Self::Number => "a number",
            Self::Ipv4 => "an IPv4 address",
        }
    }
}

macro_rules! fields {
    ($($name:ident: $kind:ident;)*) => {
        /// A system property, by the name that an LSX uses for it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $(#[doc = stringify!($name)] $name,)*
        }

        impl Field {
            /// All system properties, in the order in which events list them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)*];

            /// The kind of value it holds.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }
        }
    };
}

fields! {
    EventName: Text;
    EventCategory: Text;
    DeviceTime: Time;
    SourceIp: Ip;
    SourcePort: Port;
    SourceMAC: Mac;
    SourceIpPreNAT: Ip;
    SourceIpPostNAT: Ip;
    SourcePortPreNAT: Port;
    SourcePortPostNAT: Port;
    SourceIpv6: Ipv6;
    DestinationIp: Ip;
    DestinationPort: Port;
    DestinationMAC: Mac;
    DestinationIpPreNAT: Ip;
    DestinationIpPostNAT: Ip;
    DestinationPortPreNAT: Port;
    DestinationPortPostNAT: Port;
    DestinationIpv6: Ipv6;
    Protocol: Protocol;
    UserName: Text;
    HostName: Text;
    GroupName: Text;
    NetBIOSName: Text;
    IdentityIp: Ip;
    IdentityMac: Mac;
    IdentityIpv6: Ipv6;
    ExtraIdentityData: Text;
}

impl Field {
    /// The name, as in an LSX.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The system property of this name; case matters, as in QRadar.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The typed side of a property's value; the text stays beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Typed {
    /// Only text.
    Text,
    /// An address.
    Ip(IpAddr),
    /// A port.
    Port(u16),
    /// A MAC address.
    Mac([u8; 6]),
    /// Milliseconds and the rest.
    Time(chrono::DateTime<chrono::Utc>),
    /// An IP protocol number.
    Protocol(u8),
    /// A number; the text is kept as it was.
    Number,
}

/// An address as people write it: blanks around it, brackets, a zone and an IPv4 address in IPv6 clothes are accepted.
///
/// Java's address parser turns IPv4-mapped IPv6 into IPv4, and so does this.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if text.len() < 2 || text.len() > 64 {
        return None;
    }
    let bare = match text.as_bytes() {
        [b'[', .., b']'] => &text[1..text.len() - 1],
        _ => text,
    };
    let bare = match bare.find('%') {
        Some(zone) if bare.contains(':') => &bare[..zone],
        _ => bare,
    };
    match bare.parse::<IpAddr>().ok()? {
        IpAddr::V6(v6) => Some(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)),
        v4 @ IpAddr::V4(_) => Some(v4),
    }
}

/// An IPv4 address.
pub fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    match parse_ip(text)? {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    }
}

/// An IPv6 address.
pub fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    match parse_ip(text)? {
        IpAddr::V6(v6) => Some(v6),
        IpAddr::V4(_) => None,
    }
}

/// A port number.
pub fn parse_port(text: &str) -> Option<u16> {
    let text = text.trim();
    if text.is_empty() || text.len() > 5 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A MAC address: six hex pairs parted by `:`, `-` or nothing, or three groups of four parted by `.`.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let text = text.trim().as_bytes();
    let separator = match text.len() {
        12 => None,
        17 if matches!(text[2], b':' | b'-') => Some((text[2], 3)),
        14 if text[4] == b'.' => Some((b'.', 5)),
        _ => return None,
    };
    let mut digits = [0u8; 12];
    let mut count = 0;
    for (at, &byte) in text.iter().enumerate() {
        if let Some((separator, step)) = separator
            && at % step == step - 1
        {
            if byte != separator {
                return None;
            }
            continue;
        }
        *digits.get_mut(count)? = u8::try_from(char::from(byte).to_digit(16)?).ok()?;
        count += 1;
    }
    let mut mac = [0u8; 6];
    for (byte, pair) in mac.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    (count == 12).then_some(mac)
}

/// The value of a kind that most payloads write in one way, as long as it is written in that way.
pub(crate) fn typed_scalar(kind: Kind, text: &str) -> Option<Typed> {
    let digits = || text.bytes().all(|byte| byte.is_ascii_digit());
    match kind {
        Kind::Port if text.len() <= 5 && digits() => text.parse().ok().map(Typed::Port),
        // A longer one might be more than a number can be.
        Kind::Number if text.len() <= 300 && digits() => Some(Typed::Number),
        Kind::Ip | Kind::Ipv4 => text
            .parse()
            .ok()
            .map(|ip: Ipv4Addr| Typed::Ip(IpAddr::V4(ip))),
        _ => None,
    }
}

/// A number with an optional sign, fraction and exponent.
pub fn is_number(text: &str) -> bool {
    let text = text.trim();
    text.bytes().any(|b| b.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// IP protocols by the names that logs use. Number 255 is IANA's "Reserved".
const PROTOCOLS: &[(u8, &str)] = &[
    (0, "HOPOPT"),
    (1, "ICMP"),
    (2, "IGMP"),
    (3, "GGP"),
    (4, "IPv4"),
    (6, "TCP"),
    (8, "EGP"),
    (9, "IGP"),
    (17, "UDP"),
    (27, "RDP"),
    (33, "DCCP"),
    (41, "IPv6"),
    (43, "IPv6-Route"),
    (44, "IPv6-Frag"),
    (46, "RSVP"),
    (47, "GRE"),
    (50, "ESP"),
    (51, "AH"),
    (58, "IPv6-ICMP"),
    (59, "IPv6-NoNxt"),
    (60, "IPv6-Opts"),
    (88, "EIGRP"),
    (89, "OSPF"),
    (94, "IPIP"),
    (103, "PIM"),
    (108, "IPComp"),
    (112, "VRRP"),
    (115, "L2TP"),
    (132, "SCTP"),
    (136, "UDPLite"),
    (137, "MPLS-in-IP"),
    (255, "Reserved"),
];

/// The protocol's number: from a number, or from a name in any case, with the aliases that logs use.
pub fn parse_protocol(text: &str) -> Option<u8> {
    let text = text.trim();
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let alias = [
        ("ICMPv6", 58),
        ("ICMP6", 58),
        ("TCPv4", 6),
        ("TCPv6", 6),
        ("TCP_IPV4", 6),
        ("UDPv4", 17),
        ("UDPv6", 17),
        ("OSPFIGP", 89),
    ]
    .into_iter()
    .find(|(name, _)| name.eq_ignore_ascii_case(text))
    .map(|(_, number)| number);
    alias.or_else(|| {
        PROTOCOLS
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(number, _)| *number)
    })
}

/// The name of a protocol, if it has a common one.
pub fn protocol_name(number: u8) -> Option<&'static str> {
    PROTOCOLS
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_recognised_in_the_forms_that_logs_use() {
        let ip = |text: &str| parse_ip(text).map(|ip| ip.to_string());
        assert_eq!(ip(" 192.0.2.1 ").as_deref(), Some("192.0.2.1"));
        assert_eq!(ip("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(ip("[2001:db8::1]").as_deref(), Some("2001:db8::1"));
        assert_eq!(ip("fe80::1%eth0").as_deref(), Some("fe80::1"));
        for bad in [
            "",
            "-",
            "192.0.2",
            "192.0.2.256",
            "host",
            "192.0.2.1:80",
            "192.0.2.1%1",
        ] {
            assert_eq!(ip(bad), None, "{bad}");
        }
    }

    #[test]
    fn mac_addresses_are_recognised_with_every_usual_separator() {
        let mac = Some([0x11, 0x2d, 0x1a, 0x2b, 0x3c, 0x4d]);
        for text in [
            "11:2D:1a:2b:3c:4d",
            "11-2d-1A-2b-3c-4d",
            "112d1a2b3c4d",
            "112d.1a2b.3c4d",
        ] {
            assert_eq!(parse_mac(text), mac, "{text}");
        }
        for bad in [
            "11:2D:1a:2b:3c",
            "11:2D-1a:2b:3c:4d",
            "zz:2d:1a:2b:3c:4d",
            "é:2d:1a:2b:3c:4",
        ] {
            assert_eq!(parse_mac(bad), None, "{bad}");
        }
    }

    #[test]
    fn ports_and_protocols_are_ranges_and_names() {
        assert_eq!(parse_port("65535"), Some(65535));
        assert_eq!(parse_port("65536"), None);
        assert_eq!(parse_port("-1"), None);
        assert_eq!(parse_protocol("tcp"), Some(6));
        assert_eq!(parse_protocol("17"), Some(17));
        assert_eq!(parse_protocol("256"), None);
        assert_eq!(parse_protocol("Kerberos"), None);
    }

    #[test]
    fn numbers_keep_to_decimal_notation() {
        for good in ["0", "-1", "3.5", "1e3", " 7 "] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "-", "inf", "NaN", "1e999", "0x10", "1,000"] {
            assert!(!is_number(bad), "{bad}");
        }
    }
}
