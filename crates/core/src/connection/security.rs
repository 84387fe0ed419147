//! The security levels and their requirements, in one table.

use crate::options::{Options, Read};

/// The security level of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecurityLevel {
    /// Nothing is required.
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
    pub const CHOICES: [(&'static str, Self); 4] = [
        ("none", Self::None),
        ("basic", Self::Basic),
        ("enhanced", Self::Enhanced),
        ("maximum", Self::Maximum),
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        Self::CHOICES[self as usize].0
    }
}

/// The hosts to which plain text may be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlainText {
    /// Anywhere.
    #[default]
    Anywhere,
    /// To this machine only.
    Loopback,
    /// Nowhere.
    Nowhere,
}

impl PlainText {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anywhere => "anywhere",
            Self::Loopback => "loopback",
            Self::Nowhere => "nowhere",
        }
    }
}

/// The oldest TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsFloor {
    /// TLS 1.2; nothing older is spoken at all.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

impl TlsFloor {
    /// Its name, as the option `minVersion` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "TLSv1.2",
            Self::V1_3 => "TLSv1.3",
        }
    }
}

/// The requirements of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityRequirements {
    /// The level.
    pub level: SecurityLevel,
    /// The hosts to which plain text may be sent.
    pub plain_text: PlainText,
    /// The oldest TLS.
    pub tls: TlsFloor,
    /// Whether certificates are checked.
    pub certificates: bool,
    /// Whether a redirect must not lead from https to http.
    pub https_stays: bool,
    /// Whether addresses off the public internet are refused.
    pub public_only: bool,
}

/// The rules of all levels.
#[rustfmt::skip]
const TABLE: [SecurityRequirements; 4] = [
    SecurityRequirements { level: SecurityLevel::None,     certificates: false, plain_text: PlainText::Anywhere, tls: TlsFloor::V1_2, https_stays: false, public_only: false },
    SecurityRequirements { level: SecurityLevel::Basic,    certificates: true,  plain_text: PlainText::Anywhere, tls: TlsFloor::V1_2, https_stays: false, public_only: false },
    SecurityRequirements { level: SecurityLevel::Enhanced, certificates: true,  plain_text: PlainText::Loopback, tls: TlsFloor::V1_2, https_stays: true,  public_only: false },
    SecurityRequirements { level: SecurityLevel::Maximum,  certificates: true,  plain_text: PlainText::Nowhere,  tls: TlsFloor::V1_3, https_stays: true,  public_only: true },
];

impl SecurityLevel {
    /// The requirements of the level.
    pub const fn requirements(self) -> SecurityRequirements {
        TABLE[self as usize]
    }
}

impl SecurityRequirements {
    /// Reads `securityLevel` and `encryption`; nothing when the level is not given.
    pub fn read(options: &Options<'_>) -> Read<Option<Self>> {
        let level = options.choice(
            "securityLevel",
            SecurityLevel::default(),
            &SecurityLevel::CHOICES,
        )?;
        let encrypted = options.flag("encryption", false)?;
        let given = options.value("securityLevel").is_some();
        let mut requirements = level.requirements();
        if encrypted {
            requirements.plain_text = requirements.plain_text.max(PlainText::Loopback);
        }
        Ok((given || encrypted).then_some(requirements))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_levels_and_gets_no_weaker() {
        for (position, (name, level)) in SecurityLevel::CHOICES.into_iter().enumerate() {
            assert_eq!((level as usize, level.as_str()), (position, name));
            assert_eq!(level.requirements().level, level);
        }
        for pair in TABLE.windows(2) {
            let [weaker, stronger] = pair else {
                unreachable!()
            };
            assert!(weaker.plain_text <= stronger.plain_text && weaker.tls <= stronger.tls);
            assert!(weaker.certificates <= stronger.certificates);
            assert!(weaker.https_stays <= stronger.https_stays);
            assert!(weaker.public_only <= stronger.public_only);
        }
    }
}
