//! Which of several servers is wanted, by what its sessions can do: `target_session_attrs` of libpq.

/// The sessions that are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionTarget {
    /// Any.
    #[default]
    Any,
    /// Those that can write.
    ReadWrite,
    /// Those that cannot.
    ReadOnly,
    /// Those on a server that is no standby.
    Primary,
    /// Those on a standby.
    Standby,
    /// Those on a standby if there is one, else any.
    PreferStandby,
}

/// What a server has told of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionFacts {
    /// Whether the server is a standby.
    pub(super) is_standby: Option<bool>,
    /// Whether transactions are read-only unless they say otherwise.
    pub(super) is_read_only: Option<bool>,
}

impl SessionFacts {
    /// What the parameters say that servers from version 14 on tell of. `parameter` gives the value of one.
    pub(super) fn told(parameter: impl Fn(&str) -> Option<String>) -> Self {
        let flag = |name| parameter(name).map(|value| value == "on");
        Self {
            is_standby: flag("in_hot_standby"),
            is_read_only: flag("default_transaction_read_only"),
        }
    }
}

impl SessionTarget {
    /// The names of all.
    pub(super) const NAMES: [(&'static str, Self); 6] = [
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        ("prefer-standby", Self::PreferStandby),
    ];

    /// The targets that are looked for among all servers, one after the other.
    pub(super) const fn passes(self) -> &'static [Self] {
        match self {
            Self::Any => &[Self::Any],
            Self::ReadWrite => &[Self::ReadWrite],
            Self::ReadOnly => &[Self::ReadOnly],
            Self::Primary => &[Self::Primary],
            Self::Standby => &[Self::Standby],
            Self::PreferStandby => &[Self::Standby, Self::Any],
        }
    }

    /// Whether sessions are wanted for writing, or may be.
    pub(super) const fn may_write(self) -> bool {
        matches!(self, Self::Any | Self::ReadWrite | Self::Primary)
    }

    /// Whether a session is one of them; `None` where the facts do not say, and the server has to be asked.
    pub(super) fn accepts(self, facts: SessionFacts) -> Option<bool> {
        let SessionFacts {
            is_standby,
            is_read_only,
        } = facts;
        let cannot_write = match (is_standby, is_read_only) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
        match self {
            Self::Any | Self::PreferStandby => Some(true),
            Self::ReadWrite => cannot_write.map(|cannot| !cannot),
            Self::ReadOnly => cannot_write,
            Self::Primary => is_standby.map(|is| !is),
            Self::Standby => is_standby,
        }
    }

    /// The question whose answer says it, where that is `t` or `on`, and whether that is what is wanted.
    pub(super) const fn question(self) -> Option<(&'static str, bool)> {
        const READ_ONLY: &str = "SHOW transaction_read_only";
        const STANDBY: &str = "SELECT pg_catalog.pg_is_in_recovery()";
        match self {
            Self::Any | Self::PreferStandby => None,
            Self::ReadWrite => Some((READ_ONLY, false)),
            Self::ReadOnly => Some((READ_ONLY, true)),
            Self::Primary => Some((STANDBY, false)),
            Self::Standby => Some((STANDBY, true)),
        }
    }

    /// Why a session is none of them.
    pub(super) const fn refusal(self) -> &'static str {
        match self {
            Self::ReadWrite => "its sessions are read-only",
            Self::ReadOnly => "its sessions can write",
            Self::Primary => "it is a standby",
            _ => "it is no standby",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_decide_as_in_libpq_and_are_asked_for_where_they_do_not() {
        use SessionTarget::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};
        let (yes, no, unknown) = (Some(true), Some(false), None);
        let table = [
            (no, no, [yes, yes, no, yes, no, yes]),
            (no, yes, [yes, no, yes, yes, no, yes]),
            (yes, no, [yes, no, yes, no, yes, yes]),
            (yes, yes, [yes, no, yes, no, yes, yes]),
            (
                unknown,
                unknown,
                [yes, unknown, unknown, unknown, unknown, yes],
            ),
            (unknown, no, [yes, unknown, unknown, unknown, unknown, yes]),
            (unknown, yes, [yes, no, yes, unknown, unknown, yes]),
            (no, unknown, [yes, unknown, unknown, yes, no, yes]),
        ];
        for (is_standby, is_read_only, expected) in table {
            let facts = SessionFacts {
                is_standby,
                is_read_only,
            };
            let targets = [Any, ReadWrite, ReadOnly, Primary, Standby, PreferStandby];
            let accepted = targets.map(|target| target.accepts(facts));
            assert_eq!(accepted, expected, "{facts:?}");
            for (target, accepted) in targets.iter().zip(accepted) {
                assert!(accepted.is_some() || target.question().is_some());
            }
        }
    }
}
