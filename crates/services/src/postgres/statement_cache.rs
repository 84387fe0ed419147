//! The statements that a connection has prepared, by their texts.
//!
//! A statement's name on the server is ours: what a borrower calls it means nothing to the next one, who finds the statement prepared
//! all the same.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard},
};

use moorline_core::{error::Outcome, sync::lock};

use super::statement::refused;

/// The statements that a connection keeps prepared at most; the one that was not used for the longest time gives way.
const MAX_STATEMENTS: usize = 256;
/// The longest text that is kept, in bytes; a longer one is parsed each time.
const MAX_TEXT: usize = 64 * 1024;
/// The names that a borrower's statements are held to at most.
const MAX_NAMES: usize = 4096;

/// What the names of statements on the server begin with.
pub(super) const NAME_PREFIX: &str = "moorline_";

/// How a statement is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Parsed for this time.
    Unnamed,
    /// Parsed under this name, after those before it are closed.
    Prepare { name: String, closed: Vec<String> },
    /// Parsed before under this name.
    Execute { name: String },
}

/// The prepared statements of one connection.
#[derive(Debug, Default)]
pub(super) struct StatementCache(Mutex<Statements>);

#[derive(Debug, Default)]
struct Statements {
    prepared: HashMap<Arc<str>, Prepared>,
    /// The hashes of the texts that the borrower's names stand for.
    names: HashMap<String, u64>,
    hasher: RandomState,
    /// The names of statements that the server still has, and nobody uses.
    unused: Vec<String>,
    last_number: u64,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Prepared {
    number: u64,
    last_use: u64,
    /// The server has said that it is parsed.
    is_parsed: bool,
}

/// A statement that is being parsed.
#[derive(Clone, Debug)]
pub(super) struct Parsing {
    cache: Arc<StatementCache>,
    text: Arc<str>,
    number: u64,
    /// The names of those that are closed before.
    closed: Vec<String>,
}

impl Parsing {
    /// The server has parsed it.
    pub(super) fn confirm(&self) {
        if let Some(prepared) = self.cache.statements().prepared.get_mut(&self.text)
            && prepared.number == self.number
        {
            prepared.is_parsed = true;
        }
    }

    /// The server has not parsed it, unless it has said so.
    pub(super) fn end(&self) {
        let mut statements = self.cache.statements();
        let is_lost = statements
            .prepared
            .get(&self.text)
            .is_some_and(|prepared| prepared.number == self.number && !prepared.is_parsed);
        if is_lost {
            statements.prepared.remove(&self.text);
        }
    }

    /// Nothing of it was sent.
    pub(super) fn take_back(&self) {
        self.end();
        let mut statements = self.cache.statements();
        statements.unused.extend_from_slice(&self.closed);
    }
}

impl StatementCache {
    fn statements(&self) -> MutexGuard<'_, Statements> {
        lock(&self.0)
    }

    /// Holds a name of the borrower's to its text.
    ///
    /// # Errors
    /// The borrower has used it for another one.
    pub(super) fn claim_name(&self, name: &str, text: &str) -> Outcome<()> {
        let mut statements = self.statements();
        let text = statements.hasher.hash_one(text);
        if let Some(known) = statements.names.get(name) {
            if *known == text {
                return Ok(());
            }
            return Err(refused(format!(
                "Prepared statements must be unique - '{name}' was used for a different statement"
            )));
        }
        // Who makes up so many names does not come back to them.
        if statements.names.len() == MAX_NAMES {
            statements.names.clear();
        }
        statements.names.insert(name.to_owned(), text);
        Ok(())
    }

    /// Forgets the borrower's names.
    pub(super) fn forget_names(&self) {
        self.statements().names.clear();
    }

    /// How a statement that is prepared once is sent this time; where it is parsed, whoever reads the answer says how that went.
    pub(super) fn plan(self: &Arc<Self>, text: &str) -> (Plan, Option<Parsing>) {
        if text.len() > MAX_TEXT {
            return (Plan::Unnamed, None);
        }
        let mut statements = self.statements();
        statements.clock += 1;
        let (clock, key) = (statements.clock, statements.key());
        if let Some(prepared) = statements.prepared.get_mut(text) {
            prepared.last_use = clock;
            // The server may still say that it cannot be parsed.
            let plan = if prepared.is_parsed {
                Plan::Execute {
                    name: server_name(key, prepared.number),
                }
            } else {
                Plan::Unnamed
            };
            return (plan, None);
        }
        statements.make_room();
        statements.last_number += 1;
        let number = statements.last_number;
        let text: Arc<str> = text.into();
        let prepared = Prepared {
            number,
            last_use: clock,
            is_parsed: false,
        };
        statements.prepared.insert(Arc::clone(&text), prepared);
        let closed = std::mem::take(&mut statements.unused);
        let plan = Plan::Prepare {
            name: server_name(key, number),
            closed: closed.clone(),
        };
        let parsing = Parsing {
            cache: Arc::clone(self),
            text,
            number,
            closed,
        };
        (plan, Some(parsing))
    }

    /// Has a statement parsed anew when it is used again.
    pub(super) fn forget(&self, text: &str) {
        let mut statements = self.statements();
        if let Some(prepared) = statements.prepared.remove(text) {
            let name = server_name(statements.key(), prepared.number);
            statements.unused.push(name);
        }
    }

    /// Takes note of the tag of a statement that has run: some remove what was prepared.
    pub(super) fn on_tag(&self, tag: &str) {
        if matches!(tag, "DISCARD ALL" | "DEALLOCATE ALL") {
            let mut statements = self.statements();
            statements.prepared.clear();
            statements.unused.clear();
        }
    }
}

impl Statements {
    /// The key that stands in all names: behind a pooler, what another connection has prepared must never be taken for ours.
    fn key(&self) -> u64 {
        self.hasher.hash_one(())
    }

    fn make_room(&mut self) {
        if self.prepared.len() < MAX_STATEMENTS {
            return;
        }
        // One that is being parsed cannot be closed yet.
        let parsed = self.prepared.iter().filter(|(_, one)| one.is_parsed);
        let oldest = parsed.min_by_key(|(_, one)| one.last_use);
        let Some(text) = oldest.map(|(text, _)| Arc::clone(text)) else {
            return;
        };
        if let Some(prepared) = self.prepared.remove(&text) {
            self.unused.push(server_name(self.key(), prepared.number));
        }
    }
}

/// The name of a statement on the server.
fn server_name(key: u64, number: u64) -> String {
    format!("{NAME_PREFIX}{key:016x}_{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(cache: &StatementCache, number: u64) -> String {
        server_name(cache.statements().key(), number)
    }

    fn prepare(cache: &StatementCache, number: u64, closed: &[u64]) -> Plan {
        Plan::Prepare {
            name: name(cache, number),
            closed: closed.iter().map(|number| name(cache, *number)).collect(),
        }
    }

    fn parsed(cache: &Arc<StatementCache>, text: &str) -> Plan {
        let (plan, parsing) = cache.plan(text);
        if let Some(parsing) = parsing {
            parsing.confirm();
            parsing.end();
        }
        plan
    }

    #[test]
    fn a_statement_is_parsed_once_and_unnamed_while_that_is_under_way() {
        let cache = Arc::<StatementCache>::default();
        let (first, parsing) = cache.plan("a");
        assert_eq!(first, prepare(&cache, 1, &[]));
        assert_eq!(cache.plan("a").0, Plan::Unnamed);
        let parsing = parsing.unwrap();
        parsing.confirm();
        parsing.end();
        assert_eq!(
            cache.plan("a").0,
            Plan::Execute {
                name: name(&cache, 1)
            }
        );
        assert_eq!(cache.plan(&"a".repeat(MAX_TEXT + 1)).0, Plan::Unnamed);
        // One that cannot be parsed is tried again.
        let (_, failed) = cache.plan("b");
        failed.unwrap().end();
        assert_eq!(cache.plan("b").0, prepare(&cache, 3, &[]));
    }

    #[test]
    fn one_that_is_forgotten_or_gives_way_is_closed_with_the_next_that_is_parsed() {
        let cache = Arc::<StatementCache>::default();
        parsed(&cache, "a");
        cache.forget("a");
        cache.forget("a");
        assert_eq!(parsed(&cache, "a"), prepare(&cache, 2, &[1]));
        cache.forget("a");
        cache.plan("a").1.unwrap().take_back();
        assert_eq!(
            parsed(&cache, "a"),
            prepare(&cache, 4, &[2]),
            "still to be closed"
        );
        for number in 0..MAX_STATEMENTS {
            parsed(&cache, &format!("{number}"));
            assert_eq!(
                cache.plan("0").0,
                Plan::Execute {
                    name: name(&cache, 5)
                }
            );
        }
        // "a" has given way, since it was not used for the longest time; the next is "1".
        let (plan, _) = cache.plan("a");
        assert!(
            matches!(&plan, Plan::Prepare { closed, .. } if *closed == [name(&cache, 6)]),
            "{plan:?}"
        );
        assert!(cache.statements().prepared.len() <= MAX_STATEMENTS);
    }

    #[test]
    fn what_removes_all_on_the_server_removes_all_here() {
        let cache = Arc::<StatementCache>::default();
        for tag in ["DISCARD ALL", "DEALLOCATE ALL"] {
            parsed(&cache, "a");
            cache.forget("b");
            cache.on_tag("DEALLOCATE");
            assert!(matches!(cache.plan("a").0, Plan::Execute { .. }));
            let (_, late) = cache.plan("c");
            cache.on_tag(tag);
            assert!(
                matches!(parsed(&cache, "a"), Plan::Prepare { closed, .. } if closed.is_empty())
            );
            // What the answer says of one that is not known any more changes nothing.
            let late = late.unwrap();
            late.confirm();
            late.end();
        }
    }

    #[test]
    fn a_name_stands_for_one_text_until_its_borrower_has_gone() {
        let cache = StatementCache::default();
        cache.claim_name("n", "a").unwrap();
        cache.claim_name("n", "a").unwrap();
        let refused = cache.claim_name("n", "b").unwrap_err();
        assert!(
            refused.message.contains("must be unique - 'n'"),
            "{refused}"
        );
        cache.forget_names();
        cache.claim_name("n", "b").unwrap();
        for number in 0..MAX_NAMES * 2 {
            cache.claim_name(&number.to_string(), "a").unwrap();
        }
        assert!(cache.statements().names.len() <= MAX_NAMES);
    }
}
