//! The members of an envelope beside its array of payloads.

use super::fault::Names;
use super::lexer::{self, StringEnd, is_control_information};

/// Names of the members in a part of an envelope, without those that say nothing about its payloads. The part begins
/// `depth` brackets deep. If `is_before_list`, its last name is that of the array of payloads.
pub(super) fn members(part: &[u8], mut depth: u64, is_before_list: bool, looks: &mut u64) -> Names {
    *looks += part.len() as u64;
    let mut names = Names::NONE;
    let mut add = |name: Option<&[u8]>| {
        if let Some(name) = name
            && !is_control_information(name)
        {
            names.add(name);
        }
    };
    let (mut at, mut escaped) = (0, false);
    let (mut string, mut member) = (None, None);
    while let Some(byte) = part.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let start = at;
                if let StringEnd::Quote = lexer::string(part, &mut at, &mut escaped) {
                    string = Some(&part[start..at - 1]);
                }
            }
            b':' if depth == 1 => add(std::mem::replace(&mut member, string.take())),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if !is_before_list {
        add(member);
    }
    names
}
