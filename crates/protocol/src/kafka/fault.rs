//! What went wrong between us and the brokers, and what somebody can do about it.

use super::Dialect;
use crate::secret::{self, Secret};
use crate::status::State;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// How much of a broker's own words is shown.
const MAX_WORDS: usize = 240;

/// Something that went wrong, in words without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is about.
    pub subject: Subject,
    /// How bad it is.
    pub state: State,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// What a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// No broker is reached.
    Connection,
    /// A broker is reached, but there can be no TLS.
    Tls,
    /// A broker does not accept who we are.
    SignIn,
    /// We may not be, or cannot be, a member of the group.
    Group,
    /// A topic is not there, or we may not use it.
    Topic,
    /// One record.
    Record,
    /// No records are read although there are some, and no error was reported.
    Progress,
    /// The client cannot go on: another one has to be made.
    Client,
}

impl Fault {
    /// What an error means; `reason` is what librdkafka or the broker says about it, where it says anything. `None` where
    /// it is no fault, or passes before anybody would notice.
    pub fn of<'s>(
        code: Code,
        reason: &str,
        dialect: Dialect,
        secrets: impl Iterator<Item = &'s Secret>,
    ) -> Option<Self> {
        let (subject, state, what, remedy) = meaning(code, reason, dialect)?;
        let words = words(reason, secrets);
        let name = name(code);
        let message = if words.is_empty() {
            format!("{what} ({name})")
        } else {
            format!("{what} ({name}): {words}")
        };
        Some(Self {
            subject,
            state,
            message,
            remedy: remedy.to_owned(),
        })
    }

    /// There is no client at all, because its settings do not go together.
    pub fn of_settings<'s>(error: &KafkaError, secrets: impl Iterator<Item = &'s Secret>) -> Self {
        let reason = match error {
            // The value of a setting may be a secret.
            KafkaError::ClientConfig(_, description, key, _) => format!("{key}: {description}"),
            other => other.to_string(),
        };
        Self {
            subject: Subject::Client,
            state: State::Error,
            message: format!("no client can be made: {}", words(&reason, secrets)),
            remedy: "check the parameters of the log source and the files that they name"
                .to_owned(),
        }
    }
}

type Meaning = (Subject, State, &'static str, &'static str);

fn meaning(code: Code, reason: &str, dialect: Dialect) -> Option<Meaning> {
    let is_hub = dialect == Dialect::EventHubs;
    let by_dialect = |hub: &'static str, kafka: &'static str| if is_hub { hub } else { kafka };
    Some(match code {
        Code::AllBrokersDown
        | Code::BrokerTransportFailure
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::BrokerNotAvailable
        | Code::NetworkException => (
            Subject::Connection,
            State::Warn,
            "no broker is reached",
            by_dialect(
                "none needed if it passes: nothing is lost meanwhile; else let port 9093 of the namespace through the firewall, \
                 and check the tier of the namespace: Basic has no Kafka",
                "none needed if it passes: nothing is lost meanwhile; else check the brokers, their ports, and whether they want TLS",
            ),
        ),
        Code::Resolve => (
            Subject::Connection,
            State::Warn,
            "the name of a broker cannot be resolved",
            by_dialect(
                "check the namespace and the DNS of this machine",
                "check the names of the brokers, those that they give themselves included, and the DNS of this machine",
            ),
        ),
        Code::SSL => (
            Subject::Tls,
            State::Error,
            "there can be no TLS with the broker",
            "check ca_file and the client certificate, whether the broker speaks TLS on this port, and whether something on \
             the way inspects TLS",
        ),
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::UnacceptableCredential
        | Code::DelegationTokenExpired => (
            Subject::SignIn,
            State::Error,
            "the broker does not accept the credentials",
            by_dialect(
                "check whether the key was renewed or has expired, put the new connection string or secret where the parameter \
                 points, and reload; a policy needs the claim Listen, an application the role Azure Event Hubs Data Receiver",
                "check mechanism, name and password, whether the password has expired, and reload once it is renewed",
            ),
        ),
        Code::GroupAuthorizationFailed => (
            Subject::Group,
            State::Error,
            "the group may not be used",
            by_dialect(
                "give the policy the claim Listen, or the application the role Azure Event Hubs Data Receiver, for the event hub",
                "allow the user to read the group that the parameter consumer_group names",
            ),
        ),
        Code::InvalidGroupId => (
            Subject::Group,
            State::Error,
            "the broker does not take the name of the group",
            "choose another consumer_group",
        ),
        Code::InvalidSessionTimeout => (
            Subject::Group,
            State::Error,
            "the broker does not take the session time-out",
            "choose a session_timeout_ms between what the broker allows",
        ),
        Code::InconsistentGroupProtocol => (
            Subject::Group,
            State::Error,
            "other members of the group divide partitions in another way",
            "choose a consumer_group that no other program uses",
        ),
        Code::GroupMaxSizeReached => (
            Subject::Group,
            State::Error,
            "the group has as many members as the broker allows",
            "start fewer processes",
        ),
        Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicId => (
            Subject::Topic,
            State::Error,
            by_dialect("the event hub is not there", "the topic is not there"),
            by_dialect(
                "check EntityPath or event_hub_name; when the event hub is made, reading begins by itself",
                "check the list of topics; when the topic is made, reading begins by itself",
            ),
        ),
        Code::TopicAuthorizationFailed => (
            Subject::Topic,
            State::Error,
            by_dialect("the event hub may not be read", "the topic may not be read"),
            by_dialect(
                "give the policy the claim Listen, or the application the role Azure Event Hubs Data Receiver, for the event hub",
                "allow the user to read the topic",
            ),
        ),
        Code::ClusterAuthorizationFailed => (
            Subject::SignIn,
            State::Error,
            "the user may not use the cluster",
            "give the user the permissions that the topics and the group need",
        ),
        Code::InvalidTopic => (
            Subject::Topic,
            State::Error,
            "that is no name of a topic",
            "check the list of topics",
        ),
        Code::InvalidMessageSize | Code::MessageSizeTooLarge => (
            Subject::Record,
            State::Error,
            "an answer of the broker is larger than 100 MB",
            "lower the size of records at the producer",
        ),
        Code::BadMessage | Code::InvalidMessage | Code::InvalidRecord | Code::Underflow => (
            Subject::Record,
            State::Warn,
            "a record is damaged and was passed over",
            "look at the producer and at the disks of the broker",
        ),
        Code::BadCompression | Code::UnsupportedCompressionType => (
            Subject::Record,
            State::Error,
            "records are compressed in a way that cannot be read",
            "let the producer use gzip, lz4, snappy, zstd or no compression",
        ),
        Code::AutoOffsetReset | Code::OffsetOutOfRange => (
            Subject::Record,
            State::Error,
            "the broker has deleted records that were not read yet",
            "keep records longer at the broker, and read faster: more processes, or a higher eps_throttle",
        ),
        Code::ThrottlingQuotaExceeded => (
            Subject::Connection,
            State::Warn,
            "the broker throttles",
            by_dialect(
                "none needed unless it lasts; then give the namespace more throughput units",
                "none needed unless it lasts; then raise the quota",
            ),
        ),
        Code::PollExceeded => (
            Subject::Group,
            State::Warn,
            "nothing was read for so long that the group has gone on without this process",
            "none needed: it joins again by itself",
        ),
        Code::Fatal | Code::FencedInstanceId => (
            Subject::Client,
            State::Error,
            "the client cannot go on and is made anew",
            "none needed unless it comes again",
        ),
        Code::UnsupportedFeature | Code::UnsupportedVersion => (
            Subject::Client,
            State::Error,
            "the broker is too old or lacks what is needed",
            by_dialect(
                "use a namespace of the tier Standard or above",
                "use a broker of version 0.11 or newer",
            ),
        ),
        // The connection says the same, or it is a part of how a group works.
        _ => return unknown(code, reason),
    })
}

fn unknown(code: Code, reason: &str) -> Option<Meaning> {
    let is_passing = matches!(
        code,
        Code::NoError
            | Code::PartitionEOF
            | Code::UnknownMemberId
            | Code::IllegalGeneration
            | Code::RebalanceInProgress
            | Code::MemberIdRequired
            | Code::NotCoordinator
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::WaitingForCoordinator
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::UnstableOffsetCommit
            | Code::AssignmentLost
            | Code::NoOffset
            | Code::Retry
            | Code::State
            | Code::Outdated
            | Code::WaitCache
            | Code::TimedOutQueue
            | Code::BrokerDestroy
            | Code::DestroyBroker
            | Code::Noop
    );
    (!is_passing && !reason.is_empty()).then_some((
        Subject::Connection,
        State::Warn,
        "the broker answers with an error",
        "none needed unless it lasts; then look into the log of the broker",
    ))
}

/// The name of an error, as it stands in the documentation of librdkafka.
fn name(code: Code) -> String {
    format!("{code:?}")
}

/// What others say, in one line, shortened and without secrets.
fn words<'s>(reason: &str, secrets: impl Iterator<Item = &'s Secret>) -> String {
    let mut words = reason.to_owned();
    for secret in secrets {
        words = secret.mask(&words);
        // Of a connection string, the key is as secret as the whole.
        for part in secret
            .expose()
            .split([';', '='])
            .filter(|part| part.len() > 16)
        {
            words = words.replace(part, "***");
        }
    }
    let line = secret::presentable(&words, std::iter::empty());
    let line = line.trim();
    match line.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: Code, reason: &str, secrets: &[Secret]) -> Option<Fault> {
        Fault::of(code, reason, Dialect::EventHubs, secrets.iter())
    }

    #[test]
    fn what_somebody_has_to_do_is_an_error_with_a_remedy() {
        let fault = fault(
            Code::SaslAuthenticationFailed,
            "Invalid SASL\nmechanism",
            &[],
        )
        .unwrap();
        assert_eq!(fault.state, State::Error);
        assert_eq!(fault.subject, Subject::SignIn);
        assert_eq!(
            fault.message,
            "the broker does not accept the credentials (SaslAuthenticationFailed): Invalid SASL mechanism"
        );
        assert!(fault.remedy.contains("Listen"));
    }

    #[test]
    fn how_a_group_works_is_no_fault() {
        for code in [
            Code::RebalanceInProgress,
            Code::NotCoordinator,
            Code::PartitionEOF,
        ] {
            assert_eq!(fault(code, "reason", &[]), None);
        }
    }

    #[test]
    fn no_secret_is_shown_whole_or_in_parts() {
        let text = "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey=c2VjcmV0LXNlY3JldC1zZWNyZXQ=";
        let secrets = [Secret::new(text)];
        let reason = format!("you sent {text} or c2VjcmV0LXNlY3JldC1zZWNyZXQ");
        let fault = fault(Code::SaslAuthenticationFailed, &reason, &secrets).unwrap();
        assert!(!fault.message.contains("c2VjcmV0"), "{}", fault.message);
    }

    #[test]
    fn the_value_of_a_setting_is_not_shown() {
        let mut config = rdkafka::ClientConfig::new();
        config.set("security.protocol", "hunter2-hunter2");
        let error = config.create_native_config().err().unwrap();
        let fault = Fault::of_settings(&error, [].into_iter());
        assert!(
            fault.message.contains("security.protocol"),
            "{}",
            fault.message
        );
    }

    #[test]
    fn long_words_are_shortened() {
        let fault = fault(Code::BrokerTransportFailure, &"ä".repeat(5000), &[]).unwrap();
        assert!(fault.message.len() < 700);
    }
}
