//! The state of a transaction.

/// The state of the transaction, as the server tells it whenever it is ready for the next request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransactionStatus {
    /// In none.
    #[default]
    Idle,
    /// In one.
    Active,
    /// In one that failed and has to be rolled back.
    Failed,
}

impl TransactionStatus {
    /// The letter of it in the protocol.
    pub const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::Active),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }

    /// The letter that stands for it in the protocol.
    pub const fn letter(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Active => b'T',
            Self::Failed => b'E',
        }
    }
}
