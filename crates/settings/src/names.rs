//! Nearest known name for a misspelling.

/// How many letters of a name are compared; what follows counts as equal.
pub const MAX_COMPARED: usize = 64;

/// How many names a list in a message shows.
const MAX_LISTED: usize = 200;

/// The known name that `wrong` was probably meant to be, if one is near enough: by its letters, or because one of the
/// two contains the other.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(wrong);
    // Shorter words are part of too many names.
    let within = |name: &[char]| {
        let (short, long) = if name.len() < folded.len() {
            (name, folded.as_slice())
        } else {
            (folded.as_slice(), name)
        };
        short.len() >= 4 && long.windows(short.len()).any(|part| part == short)
    };
    known
        .into_iter()
        .filter_map(|name| {
            let letters = fold(name);
            let distance = edit_distance(&folded, &letters);
            let near = distance <= 1 + letters.len() / 6;
            (near || within(&letters)).then_some(((!near, distance), name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `did you mean x? ` where a known name is near, then the list of the known ones.
#[must_use]
pub fn suggest(wrong: &str, what: &str, known: &[&str]) -> String {
    let list = listed(known);
    match nearest(wrong, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`? {what}: {list}"),
        None => format!("{what}: {list}"),
    }
}

/// Names with commas between them, the first 200 of a long list.
#[must_use]
pub fn listed(names: &[&str]) -> String {
    match names.len().saturating_sub(MAX_LISTED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..MAX_LISTED].join(", ")),
    }
}

/// Case, blanks, hyphens and underscores are what people most often get wrong.
fn fold(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .take(MAX_COMPARED)
        .collect()
}

fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut current = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let substituted = previous[j] + usize::from(ca != cb);
            current.push(substituted.min(previous[j + 1] + 1).min(current[j] + 1));
        }
        previous = current;
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_the_real_one() {
        let known = ["SourceIp", "SourcePort", "UserName"];
        assert_eq!(nearest("sourceip", known), Some("SourceIp"));
        assert_eq!(nearest("Username", known), Some("UserName"));
        assert_eq!(nearest("Quux", known), None);
    }
}
