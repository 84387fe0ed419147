//! What each security level means, in one table.

/// What a connection insists on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecurityLevel {
    /// Anything.
    None,
    /// Certificates are checked.
    #[default]
    Basic,
    /// TLS, except to this machine.
    Enhanced,
    /// The newest TLS, to the public internet only.
    Maximum,
}

impl SecurityLevel {
    /// Every level by its name.
    pub const NAMED: [(&'static str, Self); 4] = [
        ("none", Self::None),
        ("basic", Self::Basic),
        ("enhanced", Self::Enhanced),
        ("maximum", Self::Maximum),
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        Self::NAMED[self as usize].0
    }
}
