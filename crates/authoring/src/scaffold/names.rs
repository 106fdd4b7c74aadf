//! What names of values usually mean, and what event IDs usually are about.

use dsm::field::Field;

/// Names under which sources write a property, without case and punctuation, the surest first.
pub(super) const FIELDS: &[(Field, &[&str])] = &[
    (
        Field::DeviceTime,
        &[
            "devtime",
            "devicetime",
            "eventtime",
            "timestamp",
            "datetime",
            "createddatetime",
            "creationtime",
            "timegenerated",
            "time",
            "rt",
            "date",
            "ts",
            "start",
            "end",
            "created",
            "occurred",
            "published",
        ],
    ),
    (
        Field::SourceIp,
        &[
            "src",
            "srcip",
            "sourceip",
            "sourceaddress",
            "sourceipaddress",
            "srcaddr",
            "saddr",
            "clientip",
            "clientaddress",
            "clientipaddress",
            "calleripaddress",
            "attackerip",
            "ipaddress",
            "source",
            "client",
            "ip",
            "address",
            "remoteip",
            "remoteaddr",
            "remoteaddress",
        ],
    ),
    (
        Field::SourcePort,
        &[
            "srcport",
            "spt",
            "sport",
            "sourceport",
            "clientport",
            "remoteport",
        ],
    ),
    (
        Field::SourceMAC,
        &[
            "srcmac",
            "smac",
            "sourcemac",
            "clientmac",
            "macaddress",
            "mac",
        ],
    ),
    (Field::SourceIpPreNAT, &["srcprenat", "sourceprenat"]),
    (
        Field::SourceIpPostNAT,
        &[
            "srcpostnat",
            "sourcepostnat",
            "sourcetranslatedaddress",
            "natsrc",
        ],
    ),
    (
        Field::DestinationIp,
        &[
            "dst",
            "dstip",
            "destip",
            "destinationip",
            "destinationaddress",
            "destinationipaddress",
            "dstaddr",
            "daddr",
            "serverip",
            "targetip",
            "destination",
            "dest",
            "gw",
        ],
    ),
    (
        Field::DestinationPort,
        &[
            "dstport",
            "dpt",
            "dport",
            "destport",
            "destinationport",
            "serverport",
            "targetport",
            "port",
        ],
    ),
    (Field::DestinationMAC, &["dstmac", "dmac", "destinationmac"]),
    (
        Field::DestinationIpPreNAT,
        &["dstprenat", "destinationprenat"],
    ),
    (
        Field::DestinationIpPostNAT,
        &[
            "dstpostnat",
            "destinationpostnat",
            "destinationtranslatedaddress",
            "natdst",
        ],
    ),
    (
        Field::Protocol,
        &[
            "proto",
            "protocol",
            "ipprotocol",
            "networkprotocol",
            "transport",
        ],
    ),
    (
        Field::UserName,
        &[
            "usrname",
            "username",
            "user",
            "suser",
            "userprincipalname",
            "upn",
            "userid",
            "accountname",
            "account",
            "srcuser",
            "login",
            "loginname",
            "actor",
            "principal",
            "initiatedby",
            "useremail",
            "email",
            "duser",
        ],
    ),
    (
        Field::HostName,
        &[
            "identhostname",
            "hostname",
            "devicednsname",
            "devicename",
            "computername",
            "computer",
            "machinename",
            "workstation",
            "shost",
            "dvchost",
            "host",
        ],
    ),
    (
        Field::GroupName,
        &["identgrpname", "groupname", "usergroup", "group"],
    ),
    (
        Field::NetBIOSName,
        &["identnetbios", "netbiosname", "netbios"],
    ),
];

/// Names under which sources write what happened, the surest first.
pub(super) const EVENT_ID: &[&str] = &[
    "eventid",
    "eventname",
    "eventaction",
    "eventtype",
    "eventcode",
    "operationname",
    "operation",
    "activityname",
    "activitytype",
    "activity",
    "alerttype",
    "event",
    "action",
    "act",
    "detectionid",
    "signatureid",
    "signature",
    "type",
    "kind",
    "subtype",
    "messageid",
    "msgid",
    "rulename",
    "title",
    "name",
    "method",
];

/// Names under which sources write the kind of thing that happened.
pub(super) const EVENT_CATEGORY: &[&str] = &[
    "eventcategory",
    "category",
    "cat",
    "eventclass",
    "class",
    "servicesource",
    "servicename",
    "service",
    "logtype",
    "facility",
    "subsystem",
    "module",
    "component",
    "product",
];

/// Words in an event ID, all of which must be there, with a low-level category and a severity. The first that fits counts.
const CATEGORIES: &[(&[&[&str]], u32, u8)] = &[
    (
        &[
            &["login", "logon", "signin", "auth"],
            &["fail", "denied", "invalid", "reject", "error"],
        ],
        3047,
        3,
    ),
    (&[&["logout", "logoff", "signout"]], 3057, 1),
    (&[&["login", "logon", "signin", "auth"]], 3046, 1),
    (&[&["malware", "virus", "trojan", "ransom"]], 6001, 8),
    (
        &[&["deny", "denied", "block", "drop", "reject", "refuse"]],
        4015,
        4,
    ),
    (&[&["permit", "allow", "accept", "grant"]], 4014, 1),
];

/// What is filed here is to be filed better by the author.
const SYSTEM: (u32, u8) = (8001, 3);

/// A low-level category and a severity for an event ID.
pub(super) fn category(event_id: &str) -> (u32, u8) {
    let id = normal(event_id);
    let found = CATEGORIES.iter().find(|(words, ..)| {
        words
            .iter()
            .all(|any| any.iter().any(|word| id.contains(word)))
    });
    found.map_or(SYSTEM, |(_, category, severity)| (*category, *severity))
}

/// A name without case and punctuation.
pub(super) fn normal(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// `srcPort`, `src_port` and `SRC-PORT` as `Src Port`.
pub(super) fn titled(name: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() {
            before = ' ';
            continue;
        }
        let begins = before == ' ' || (c.is_uppercase() && before.is_lowercase());
        match words.last_mut() {
            Some(word) if !begins => word.push(c),
            _ => words.push(c.to_uppercase().collect()),
        }
        before = c;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsm::categories;

    #[test]
    fn every_category_that_is_proposed_exists() {
        let all = CATEGORIES.iter().map(|(_, category, _)| *category);
        for category in all.chain([SYSTEM.0]) {
            assert!(categories::by_id(category).is_some(), "{category}");
        }
    }

    #[test]
    fn event_ids_are_filed_by_their_words() {
        for (id, category_of) in [
            ("UserLoginFailed", 3047),
            ("logout", 3057),
            ("SSH-Logon", 3046),
            ("deny", 4015),
            ("reboot", 8001),
        ] {
            assert_eq!(category(id).0, category_of, "{id}");
        }
    }

    #[test]
    fn names_become_titles() {
        assert_eq!(titled("srcPort"), "Src Port");
        assert_eq!(titled("@odata.type"), "Odata Type");
        assert_eq!(titled("userID"), "User ID");
        assert_eq!(titled("--"), "");
    }
}
