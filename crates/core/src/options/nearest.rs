//! The known key that is nearest to an unknown one.

use std::borrow::Cow;

use super::OptionError;

/// Option names of other libraries, in lower case, and the names of the same options here.
const SYNONYMS: &[(&str, &[&str])] = &[
    ("baseurl", &["url"]),
    ("prefixurl", &["url"]),
    ("path", &["url"]),
    ("uri", &["url"]),
    ("data", &["body"]),
    ("form", &["body"]),
    ("json", &["body"]),
    ("params", &["query", "args"]),
    ("qs", &["query"]),
    ("searchparams", &["query"]),
    ("headers", &["customHeaders"]),
    ("redirect", &["maxRedirects"]),
    ("followredirect", &["maxRedirects"]),
    ("followredirects", &["maxRedirects"]),
    ("responsetype", &["stream"]),
    ("arguments", &["args"]),
    ("bindings", &["args"]),
    ("values", &["args"]),
    ("text", &["sql"]),
    ("retries", &["retryCount", "maxRetries", "retry"]),
    ("maxattempts", &["retryCount", "maxRetries", "retry"]),
    ("maxretries", &["retryCount"]),
    ("retry", &["retryCount"]),
    ("protocol", &["protocols"]),
    ("subprotocol", &["protocols"]),
    ("subprotocols", &["protocols"]),
    ("auth", &["customHeaders", "authToken"]),
    ("authorization", &["customHeaders", "authToken"]),
    ("origin", &["customHeaders"]),
    ("withcredentials", &["customHeaders"]),
    ("agent", &["tls"]),
    ("httpagent", &["proxy"]),
    ("httpsagent", &["tls"]),
    ("https", &["tls"]),
    ("tlsoptions", &["tls"]),
    ("ca", &["tls"]),
    ("cert", &["tls"]),
    ("rejectunauthorized", &["tls"]),
    ("handshaketimeout", &["timeout"]),
    ("connecttimeout", &["timeout"]),
    ("pinginterval", &["keepAlive"]),
    ("keepalivetimeout", &["keepAlive"]),
    ("keepalivemaxtimeout", &["keepAlive"]),
    ("reconnectinterval", &["retryDelay"]),
    ("permessagedeflate", &["compression"]),
    ("decompress", &["compression"]),
    ("max", &["poolSize", "maxSize"]),
    ("size", &["poolSize", "maxSize"]),
    ("maxconnections", &["poolSize", "maxSize"]),
    ("connections", &["maxConnections", "poolSize", "maxSize"]),
    ("maxsockets", &["maxConnections"]),
    ("token", &["authToken"]),
    ("circuitbreaker", &["breaker"]),
    ("concurrency", &["bulkhead"]),
    ("capacity", &["bulkhead"]),
    ("maxpayload", &["maxMessageBytes"]),
    ("maxcontentlength", &["maxResponseBytes"]),
    ("dispatcher", &["proxy"]),
    ("statement_timeout", &["queryTimeoutMs"]),
    ("readytimeout", &["connectTimeoutMs"]),
    ("host", &["sshHost"]),
    ("port", &["sshPort"]),
    ("username", &["sshUsername"]),
    ("user", &["sshUsername"]),
    ("dsthost", &["remoteHost"]),
    ("dstport", &["remotePort"]),
    ("srcport", &["localPort"]),
    ("hostverifier", &["hostKeyFingerprint"]),
    ("keepaliveinterval", &["keepAliveIntervalMs"]),
    ("keepalivecountmax", &["keepAliveCount"]),
    ("trykeyboard", &["keyboardInteractive"]),
    ("connectionstring", &["url"]),
    ("threshold", &["failMax"]),
    ("failurethreshold", &["failMax"]),
    ("maxfailures", &["failMax"]),
    ("errorthresholdpercentage", &["failureRatio"]),
    ("attempts", &["maxRetries", "retryCount", "retry"]),
    ("optional", &["critical"]),
    ("limit", &["limitBytes"]),
    (
        "acquiretimeoutmillis",
        &["acquireTimeout", "connectionTimeoutMs"],
    ),
    ("idletimeoutmillis", &["maxIdleTime", "idleTimeoutMs"]),
];

/// A longer word is no misspelling, takes long to compare, and need not be repeated in a message.
const MAX_CHARS: usize = 100;

/// A word as a message shows it.
pub fn shown(word: &str) -> Cow<'_, str> {
    match word.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &word[..end]).into(),
        None => word.into(),
    }
}

impl OptionError {
    /// A key that is none of the `known` ones, with the one that was probably meant.
    pub fn unknown(path: &str, key: &str, known: &[&str]) -> Self {
        let hint = nearest(key, known)
            .map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        let path = shown(path);
        Self::bad_value(&path, format!("is not a known option{hint}"))
    }
}

/// The known key that `key` is a synonym or a likely misspelling of. A known key may be a path
/// (`customOptions.protocols`), of which the last part is compared.
pub fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    if key.chars().nth(MAX_CHARS).is_some() {
        return None;
    }
    let word = key.to_lowercase();
    let synonyms = SYNONYMS.iter().filter(|(other, _)| *other == word);
    let mut meant = synonyms.flat_map(|(_, names)| names.iter());
    let is_called = |candidate: &&&str, name: &str| last_part(candidate) == name;
    if let Some(name) = meant.find_map(|name| known.iter().find(|it| is_called(it, name))) {
        return Some(name);
    }
    known
        .iter()
        .map(|candidate| {
            let name = last_part(candidate);
            let distance = distance(&word, &name.to_lowercase());
            (distance, name.len(), *candidate)
        })
        .filter(|(distance, length, _)| *distance <= 1 + length / 4)
        .min_by_key(|(distance, _, candidate)| (*distance, *candidate))
        .map(|(_, _, candidate)| candidate)
}

fn last_part(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
