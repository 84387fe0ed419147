//! Which statements may run on the thread of their caller.
//!
//! Those of which it is known that they are over in no time, by their last runs and by their program: it uses the main
//! database alone, and each of its instructions takes a time and a stack that are bounded. A long loop is no obstacle,
//! since the engine looks at the clock in it. What compiles (a pattern's recursion, a statement inside another) or
//! works through a whole value or table in one instruction is left out, as is what keeps a part of its changes when it
//! fails (`OR FAIL`), since it could not be run again.

use std::time::Duration;

use moorline_sqlite::{Compilation, Connection, Row, RowSink, StatementId, ValueRef};

use crate::libsql::result::encode_columns;

/// A run below this is a quick one.
const QUICK: Duration = Duration::from_micros(100);
/// The number of quick runs in a row after which a statement may run inline.
const QUICK_RUNS: u32 = 2;
/// The most quick runs that are asked for after a statement was interrupted.
const MAX_QUICK_RUNS: u32 = 1 << 10;

/// Instructions of the engine (<https://sqlite.org/opcode.html>) that read and write one row, compute, or fill tables of the statement's own.
const INSTRUCTIONS: &str = "
    Add AddImm Affinity And BeginSubrtn BitAnd BitNot BitOr Blob Cast Close ClrSubtype CollSeq Column ColumnsUsed
    Compare Concat Copy CursorHint DecrJumpZero DeferredSeek Delete Divide ElseEq EndCoroutine Eq Explain Filter
    FilterAdd FinishSeek Found FkCounter FkIfZero Ge GetSubtype Gosub Goto Gt IdxDelete IdxGE IdxGT IdxInsert IdxLE IdxLT
    IdxRowid If IfNoHope IfNot IfNotOpen IfNotZero IfNullRow IfPos IfSizeBetween Init InitCoroutine Insert Int64
    IntCopy Integer IsNull IsTrue IsType Jump Last Le Lt MakeRecord MemMax Move Multiply MustBeInt Ne NewRowid Next
    NoConflict Noop Not NotExists NotFound NotNull Null NullRow Offset OffsetLimit Once OpenAutoindex OpenDup
    OpenEphemeral OpenPseudo Or Permutation Prev Real RealAffinity ReleaseReg Remainder ResetCount ResetSorter ResultRow Return
    Rewind RowData RowSetAdd RowSetRead RowSetTest Rowid SCopy SeekEnd SeekGE SeekGT SeekHit SeekLE SeekLT SeekRowid
    SeekScan Sequence SequenceTest ShiftLeft ShiftRight SoftNull Sort SorterCompare SorterData SorterInsert
    SorterNext SorterOpen SorterSort String String8 Subtract TableLock TypeCheck Variable Yield ZeroOrNull";

/// The conflict resolution `FAIL`, as the second operand of `Halt`.
const FAIL: i64 = 3;

/// Functions whose work is in proportion to one value at most, by the name and the number of arguments that the program
/// shows (-1: any).
const FUNCTIONS: &str = "
    abs(1) avg(1) changes(0) char(-1) coalesce(-1) count(0) count(1) current_date(0) current_time(0)
    current_timestamp(0) date(-1) datetime(-1) dense_rank(0) hex(1) ifnull(2) iif(3) julianday(-1)
    last_insert_rowid(0) length(1) lower(1) ltrim(1) max(-1) max(1) min(-1) min(1) nullif(2) octet_length(1)
    quote(1) random(0) rank(0) round(1) round(2) row_number(0) rtrim(1) sign(1) strftime(-1) substr(2) substr(3)
    substring(2) substring(3) sum(1) time(-1) total(1) trim(1)";

/// What is known of a statement's use on the thread of its caller.
pub(super) struct InlineUse {
    quick_runs: u32,
    needed_runs: u32,
    program: Program,
}

enum Program {
    Unknown,
    /// It must not.
    Refused,
    Compiled(InlineStatement),
}

/// A statement that is never compiled again, so that it runs the program that was looked at, or not at all.
pub(super) struct InlineStatement {
    pub(super) statement: StatementId,
    pub(super) encoded_columns: String,
}

impl InlineUse {
    /// That of a statement that was just compiled; without `may` it is never looked at.
    pub(super) fn new(may: bool) -> Self {
        Self {
            quick_runs: 0,
            needed_runs: QUICK_RUNS,
            program: if may {
                Program::Unknown
            } else {
                Program::Refused
            },
        }
    }

    /// Records a run to the end.
    pub(super) fn record(&mut self, took: Duration) {
        if took >= QUICK {
            self.quick_runs = 0;
            return;
        }
        self.quick_runs = self.quick_runs.saturating_add(1);
        if self.quick_runs > MAX_QUICK_RUNS {
            self.needed_runs = QUICK_RUNS;
        }
    }

    /// Records a run that was cut off.
    pub(super) fn record_interrupt(&mut self) {
        self.quick_runs = 0;
        self.needed_runs = (self.needed_runs * 4).min(MAX_QUICK_RUNS);
    }

    /// Whether it is quick, and its program has to be looked at.
    pub(super) fn is_due(&self) -> bool {
        self.quick_runs >= self.needed_runs && matches!(self.program, Program::Unknown)
    }

    /// The statement to run inline, when it is quick.
    pub(super) fn statement(&self) -> Option<&InlineStatement> {
        match &self.program {
            Program::Compiled(compiled) if self.quick_runs >= self.needed_runs => Some(compiled),
            _ => None,
        }
    }

    /// Compiles `sql` for inline use, if its program allows that.
    pub(super) fn compile(&mut self, connection: &mut Connection, sql: &str) {
        self.program = Program::Refused;
        if let Ok((Some(statement), _)) = connection.prepare(sql, Compilation::Once) {
            // Looked at after it was compiled: a schema that changed in between makes the statement useless.
            if let Some(encoded_columns) = look_at_program(connection, sql, &statement) {
                self.program = Program::Compiled(InlineStatement {
                    statement,
                    encoded_columns,
                });
            } else {
                connection.finalize(statement);
            }
        }
    }

    /// Has the statement compiled anew when it is quick again.
    pub(super) fn discard(&mut self, connection: &mut Connection) {
        self.quick_runs = 0;
        if let Program::Compiled(compiled) = std::mem::replace(&mut self.program, Program::Unknown)
        {
            connection.finalize(compiled.statement);
        }
    }

    pub(super) fn finalize(self, connection: &mut Connection) {
        if let Program::Compiled(compiled) = self.program {
            connection.finalize(compiled.statement);
        }
    }
}

/// The encoded columns of the results of `sql`, when its program may run inline.
fn look_at_program(
    connection: &mut Connection,
    sql: &str,
    statement: &StatementId,
) -> Option<String> {
    let explained = format!("EXPLAIN {sql}");
    let (listing, _) = connection.prepare(&explained, Compilation::Renewed).ok()?;
    let listing = listing?;
    let bounded = connection.run(&listing, &[], &mut BoundedProgram);
    connection.finalize(listing);
    bounded.ok()?;
    let columns = connection.columns(statement).ok()?;
    let described = columns
        .iter()
        .map(|column| (&column.name, &column.declared_type));
    Some(encode_columns(described))
}

/// Refuses a program at the first instruction that has no bound.
struct BoundedProgram;

impl RowSink for BoundedProgram {
    type Refusal = ();

    fn begin(&mut self, _: &Row<'_>) {}

    /// A row is an instruction: address, name, P1 to P3, P4 as text, P5, a comment.
    fn row(&mut self, row: &Row<'_>) -> Result<(), ()> {
        let name = text_of(row, 1).ok_or(())?;
        let is_bounded = match name {
            // The main database: not one that was attached, which has a log of its own, and no temporary one.
            "Transaction" => integer_of(row, 2) == Some(0),
            "OpenRead" | "OpenWrite" | "ReopenIdx" => integer_of(row, 4) == Some(0),
            "Halt" | "HaltIfNull" => integer_of(row, 3) != Some(FAIL),
            "Function" | "PureFunc" | "AggStep" | "AggStep1" | "AggFinal" | "AggInverse"
            | "AggValue" => text_of(row, 5).is_some_and(|function| has_word(FUNCTIONS, function)),
            name => has_word(INSTRUCTIONS, name),
        };
        if is_bounded { Ok(()) } else { Err(()) }
    }
}

fn has_word(words: &str, word: &str) -> bool {
    words.split_ascii_whitespace().any(|known| known == word)
}

fn text_of<'r>(row: &Row<'r>, index: usize) -> Option<&'r str> {
    match row.value(index) {
        Ok(ValueRef::Text(text)) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

fn integer_of(row: &Row<'_>, index: usize) -> Option<i64> {
    match row.value(index) {
        Ok(ValueRef::Integer(integer)) => Some(integer),
        _ => None,
    }
}
