//! Connection strings of Event Hubs: `Endpoint=sb://…/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=…`.
//!
//! The whole of it is the password for the broker, so it is checked here, where a mistake can be named: the broker only
//! says no. What is checked is never shown, because anything in it may be the key.

use crate::cloud;
use crate::secret::Secret;
use settings::nearest;

/// Longest connection string that makes sense.
const MAX_LENGTH: usize = 4096;

/// What a connection string says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConnectionString {
    /// The host of the namespace, in lower case.
    pub(super) host: String,
    /// The event hub, where the string is for one event hub.
    pub(super) hub: Option<String>,
    /// The whole string, which is the password.
    pub(super) whole: Secret,
}

/// The names that a connection string may hold, as Microsoft writes them.
const ENDPOINT: &str = "Endpoint";
const KEY_NAME: &str = "SharedAccessKeyName";
const KEY: &str = "SharedAccessKey";
const SIGNATURE: &str = "SharedAccessSignature";
const ENTITY_PATH: &str = "EntityPath";
const NAMES: [&str; 5] = [ENDPOINT, KEY_NAME, KEY, SIGNATURE, ENTITY_PATH];

/// The names of a storage account's connection string, which is often pasted by mistake.
const STORAGE_NAMES: [&str; 3] = ["DefaultEndpointsProtocol", "AccountName", "BlobEndpoint"];

impl ConnectionString {
    /// Reads a connection string and reports every fault at once. No fault repeats a value.
    pub(super) fn read(secret: &Secret) -> Result<Self, Vec<String>> {
        let text = secret.expose().trim();
        if text.len() > MAX_LENGTH {
            return Err(vec![format!("is longer than {MAX_LENGTH} bytes")]);
        }
        let mut faults = Vec::new();
        if text.contains(char::is_control) {
            faults.push("holds control characters or several lines".to_owned());
        }
        let mut values: [Option<&str>; NAMES.len()] = [None; NAMES.len()];
        for (index, part) in text.split(';').enumerate() {
            if part.trim().is_empty() {
                continue;
            }
            let place = index + 1;
            // Values end in `=`, so only the first one divides.
            let Some((name, value)) = part.split_once('=') else {
                faults.push(format!("has no `=` in part {place}"));
                continue;
            };
            let name = name.trim();
            let Some(known) = position(name) else {
                faults.push(unknown(name, place));
                continue;
            };
            let value = value.trim();
            if value.is_empty() {
                faults.push(format!("has no value for {}", NAMES[known]));
            } else if values[known].replace(value).is_some() {
                faults.push(format!("holds {} twice", NAMES[known]));
            }
        }
        let [endpoint, key_name, key, signature, hub] = values;
        let host = match endpoint.map(host) {
            Some(Ok(host)) => Some(host),
            Some(Err(problem)) => {
                faults.push(problem);
                None
            }
            None => None,
        };
        let said = |name: &str, faults: &[String]| faults.iter().any(|fault| fault.contains(name));
        if endpoint.is_none() && !said(ENDPOINT, &faults) {
            faults.push(format!("holds no {ENDPOINT}"));
        }
        if signature.is_some() {
            if key.is_some() || key_name.is_some() {
                faults.push(format!("holds both {SIGNATURE} and {KEY} or {KEY_NAME}"));
            }
        } else {
            for (name, value) in [(KEY_NAME, key_name), (KEY, key)] {
                let has_said = faults.iter().any(|fault| fault.ends_with(name));
                if value.is_none() && !has_said {
                    faults.push(format!("holds no {name}"));
                }
            }
        }
        if key.is_some_and(|key| !is_base64(key)) {
            faults.push(format!(
                "has a {KEY} that is no Base64, so a part of it is missing"
            ));
        }
        if hub.is_some_and(|hub| !is_hub(hub)) {
            faults.push(format!(
                "has an {ENTITY_PATH} that is no name of an event hub"
            ));
        }
        match host {
            Some(host) if faults.is_empty() => Ok(Self {
                host,
                hub: hub.map(str::to_owned),
                whole: Secret::new(text),
            }),
            _ => Err(faults),
        }
    }

    /// Puts a connection string together from its parts.
    pub(super) fn write(host: &str, key_name: &str, key: &Secret) -> Secret {
        Secret::new(format!(
            "{ENDPOINT}=sb://{host}/;{KEY_NAME}={key_name};{KEY}={}",
            key.expose()
        ))
    }
}

fn position(name: &str) -> Option<usize> {
    NAMES
        .iter()
        .position(|known| known.eq_ignore_ascii_case(name))
}

/// A name that no connection string has. It is shown only where it is a word that somebody mistook: behind a key that
/// was pasted wrongly, anything could stand before a `=`.
fn unknown(name: &str, place: usize) -> String {
    if STORAGE_NAMES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
    {
        return "is one of a storage account, not of an event hub".to_owned();
    }
    match nearest(name, NAMES) {
        Some(known) => format!("has an unknown name in part {place}; did you mean {known}?"),
        None => format!(
            "has an unknown name in part {place}; known are {}",
            NAMES.join(", ")
        ),
    }
}

/// The host of an endpoint.
fn host(endpoint: &str) -> Result<String, String> {
    let lower = endpoint.to_ascii_lowercase();
    let rest = lower
        .strip_prefix("sb://")
        .ok_or_else(|| format!("has an {ENDPOINT} that does not begin with sb://"))?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    check_host(host).map_err(|problem| format!("has an {ENDPOINT} {problem}"))?;
    Ok(host.to_owned())
}

/// What is wrong with the host of a namespace. The key is sent there, so it has to be one of Microsoft's.
pub(super) fn check_host(host: &str) -> Result<(), String> {
    let namespace = cloud::EVENT_HUBS
        .iter()
        .find_map(|suffix| host.strip_suffix(suffix)?.strip_suffix('.'));
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 63
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if namespace.is_some_and(is_name) {
        return Ok(());
    }
    Err(format!(
        "whose host is no namespace of Event Hubs: it ends in {}",
        cloud::EVENT_HUBS.join(", ")
    ))
}

/// Whether a text is a name that an event hub can have.
fn is_hub(name: &str) -> bool {
    name.len() <= 256
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn is_base64(key: &str) -> bool {
    let bare = key.trim_end_matches('=');
    key.len().is_multiple_of(4)
        && key.len() - bare.len() <= 2
        && bare
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOST: &str = "contoso-alerts.servicebus.windows.net";
    const KEY_TEXT: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ==";

    fn read(text: &str) -> Result<ConnectionString, Vec<String>> {
        ConnectionString::read(&Secret::new(text))
    }

    fn good() -> String {
        format!("Endpoint=sb://{HOST}/;SharedAccessKeyName=listen;SharedAccessKey={KEY_TEXT}")
    }

    #[test]
    fn a_string_for_a_namespace_and_one_for_an_event_hub() {
        let namespace = read(&good()).unwrap();
        assert_eq!((namespace.host.as_str(), namespace.hub), (HOST, None));
        assert_eq!(namespace.whole.expose(), good());
        let hub = read(&format!("{};EntityPath=insights-logs.v1_x\n", good())).unwrap();
        assert_eq!(hub.hub.as_deref(), Some("insights-logs.v1_x"));
        assert!(!hub.whole.expose().ends_with('\n'));
    }

    #[test]
    fn names_are_known_in_any_case_and_order() {
        let text = format!(
            " sharedaccesskey={KEY_TEXT} ;ENTITYPATH=a;endpoint=SB://Contoso-Alerts.ServiceBus.Windows.NET; SharedAccessKeyname = x ;"
        );
        assert_eq!(read(&text).unwrap().host, HOST);
    }

    #[test]
    fn a_signature_stands_in_for_name_and_key() {
        let text = format!(
            "Endpoint=sb://{HOST}/;SharedAccessSignature=SharedAccessSignature sr=sb%3a%2f%2f{HOST}&sig=abc%3d&se=1795645653&skn=listen"
        );
        assert_eq!(read(&text).unwrap().host, HOST);
        let both = format!("{text};SharedAccessKeyName=x");
        assert_eq!(
            read(&both).unwrap_err(),
            ["holds both SharedAccessSignature and SharedAccessKey or SharedAccessKeyName"]
        );
    }

    #[test]
    fn every_fault_is_reported_at_once_and_none_shows_a_value() {
        let text = "Endpoint=https://evil.example.com;SharedAccesKeyName=s3cr3tA;SharedAccessKey=s3cr3tB;EntityPath=s3cr3t C;s3cr3tD;s3cr3tE=1;EntityPath=";
        let faults = read(text).unwrap_err();
        assert_eq!(
            faults,
            [
                "has an unknown name in part 2; did you mean SharedAccessKeyName?",
                "has no `=` in part 5",
                "has an unknown name in part 6; known are Endpoint, SharedAccessKeyName, SharedAccessKey, \
                 SharedAccessSignature, EntityPath",
                "has no value for EntityPath",
                "has an Endpoint that does not begin with sb://",
                "holds no SharedAccessKeyName",
                "has a SharedAccessKey that is no Base64, so a part of it is missing",
                "has an EntityPath that is no name of an event hub",
            ]
        );
        assert!(!faults.concat().contains("s3cr3t"));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            read("").unwrap_err(),
            [
                "holds no Endpoint",
                "holds no SharedAccessKeyName",
                "holds no SharedAccessKey"
            ]
        );
        let twice = format!("{};SharedAccessKey={KEY_TEXT}", good());
        assert_eq!(read(&twice).unwrap_err(), ["holds SharedAccessKey twice"]);
    }

    #[test]
    fn the_key_goes_to_no_host_that_is_not_a_namespace() {
        for host in [
            "contoso.servicebus.windows.net.evil.example",
            "evil.example/x.servicebus.windows.net",
            "user@x.servicebus.windows.net",
            "servicebus.windows.net",
            ".servicebus.windows.net",
            "a.b.servicebus.windows.net",
            "x.servicebus.windows.net:9093",
        ] {
            let text = good().replace(HOST, host);
            assert_eq!(read(&text).unwrap_err().len(), 1, "{host}");
        }
        for host in [
            "x.servicebus.usgovcloudapi.net",
            "x.servicebus.chinacloudapi.cn",
        ] {
            assert!(read(&good().replace(HOST, host)).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_string_of_a_storage_account_is_told_from_one_of_an_event_hub() {
        let text = format!("DefaultEndpointsProtocol=https;AccountName=x;AccountKey={KEY_TEXT}");
        assert_eq!(
            read(&text).unwrap_err()[0],
            "is one of a storage account, not of an event hub"
        );
    }

    #[test]
    fn parts_make_a_string_that_reads_as_they_are() {
        let secret = ConnectionString::write(HOST, "listen", &Secret::new(KEY_TEXT));
        assert_eq!(read(secret.expose()).unwrap().host, HOST);
        assert_eq!(secret.expose(), good());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_no_fault_repeats_it(
            parts in prop::collection::vec(("[A-Za-z]{0,20}", "s3cr3t[ -~]{0,20}"), 0..6),
        ) {
            let text: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
            if let Err(faults) = read(&text.join(";")) {
                prop_assert!(!faults.is_empty());
                prop_assert!(!faults.concat().contains("s3cr3t"));
            }
        }
    }
}
