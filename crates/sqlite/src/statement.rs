//! Compiled statements and their rows.

use std::{
    borrow::Cow,
    ffi::{CStr, c_char, c_int},
    marker::PhantomData,
    ptr::{self, NonNull},
    slice,
};

use libsql::ffi;

use crate::{Connection, Error, Result, ValueRef};

/// The name of a compiled statement on its connection.
#[derive(Debug)]
pub struct StatementId(usize);

/// Whether a statement is compiled again when it runs after a change of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compilation {
    /// It is, and when that helps its plan.
    Renewed,
    /// It never is: it fails with `SQLITE_SCHEMA` instead.
    Once,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column<'r> {
    /// Its name.
    pub name: Cow<'r, str>,
    /// Its type as the schema declares it; empty where it does not.
    pub declared_type: Cow<'r, str>,
}

/// A row, lent by the engine; before the first one, only its columns.
pub struct Row<'r> {
    statement: NonNull<ffi::sqlite3_stmt>,
    lifetime: PhantomData<&'r ()>,
}

/// The receiver of a statement's rows.
pub trait RowSink {
    /// The reason why it refuses a row.
    type Refusal;

    /// Called once before the first row, also when there is none.
    fn begin(&mut self, columns: &Row<'_>);

    /// Called for each row. A refusal ends the statement and undoes what it wrote, unless a transaction is open.
    fn row(&mut self, row: &Row<'_>) -> std::result::Result<(), Self::Refusal>;
}

/// The reason why a statement did not run to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum RunError<R> {
    /// The engine's.
    Engine(Error),
    /// The receiver's.
    Refused(R),
}

impl Connection {
    /// Compiles the first statement of `sql`, and returns it with the rest of the text. There is none in what is empty or a
    /// comment.
    pub fn prepare<'s>(
        &mut self,
        sql: &'s str,
        compilation: Compilation,
    ) -> Result<(Option<StatementId>, &'s str)> {
        let length = c_int::try_from(sql.len())
            .map_err(|_| Error::new(ffi::SQLITE_TOOBIG, "the SQL is too long"))?;
        if sql.contains('\0') {
            return Err(Error::new(ffi::SQLITE_MISUSE, "the SQL contains U+0000"));
        }
        let start: *const c_char = sql.as_ptr().cast();
        let (mut raw, mut tail) = (ptr::null_mut(), start);
        // SAFETY: an open connection, a text of that length, and locals.
        let code = unsafe {
            match compilation {
                Compilation::Renewed => ffi::sqlite3_prepare_v3(
                    self.raw.as_ptr(),
                    start,
                    length,
                    ffi::SQLITE_PREPARE_PERSISTENT.cast_unsigned(),
                    &raw mut raw,
                    &raw mut tail,
                ),
                Compilation::Once => ffi::sqlite3_prepare(
                    self.raw.as_ptr(),
                    start,
                    length,
                    &raw mut raw,
                    &raw mut tail,
                ),
            }
        };
        if code != ffi::SQLITE_OK {
            // SAFETY: an open connection.
            return Err(unsafe { Error::last_of(self.raw) });
        }
        let used = tail.addr().wrapping_sub(start.addr());
        let rest = sql.get(used..).unwrap_or_default();
        Ok((NonNull::new(raw).map(|raw| self.insert(raw)), rest))
    }

    fn insert(&mut self, raw: NonNull<ffi::sqlite3_stmt>) -> StatementId {
        let free = self.statements.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.statements.push(None);
            self.statements.len() - 1
        });
        self.statements[index] = Some(raw);
        StatementId(index)
    }

    fn statement(&self, id: &StatementId) -> Result<NonNull<ffi::sqlite3_stmt>> {
        let found = self.statements.get(id.0).copied().flatten();
        found.ok_or_else(|| Error::new(ffi::SQLITE_MISUSE, "a statement of another connection"))
    }

    /// Frees a statement.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the name of a statement ends with it"
    )]
    pub fn finalize(&mut self, id: StatementId) {
        if let Some(raw) = self.statements.get_mut(id.0).and_then(Option::take) {
            // SAFETY: a statement of this connection that does not run, taken out so that it is freed once.
            unsafe { ffi::sqlite3_finalize(raw.as_ptr()) };
        }
    }

    /// Whether a statement writes to no database. What begins and ends transactions counts as reading.
    pub fn is_readonly(&self, id: &StatementId) -> Result<bool> {
        let raw = self.statement(id)?;
        // SAFETY: a statement of this connection.
        Ok(unsafe { ffi::sqlite3_stmt_readonly(raw.as_ptr()) != 0 })
    }

    /// The number of the parameters of a statement.
    pub fn parameter_count(&self, id: &StatementId) -> Result<usize> {
        let raw = self.statement(id)?;
        // SAFETY: as above.
        let count = unsafe { ffi::sqlite3_bind_parameter_count(raw.as_ptr()) };
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// The name of the parameter at `index`, counted from zero, with its first character; `None` where it has none.
    pub fn parameter_name(&self, id: &StatementId, index: usize) -> Result<Option<Cow<'_, str>>> {
        let raw = self.statement(id)?;
        let Ok(number) = c_int::try_from(index + 1) else {
            return Ok(None);
        };
        // SAFETY: as above; a name lives as long as its statement, which `&self` keeps.
        unsafe {
            let name = ffi::sqlite3_bind_parameter_name(raw.as_ptr(), number);
            Ok((!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy()))
        }
    }

    /// The columns of the rows of a statement.
    pub fn columns(&self, id: &StatementId) -> Result<Vec<Column<'_>>> {
        let row = Row {
            statement: self.statement(id)?,
            lifetime: PhantomData,
        };
        Ok((0..row.len()).map(|index| row.column(index)).collect())
    }

    /// Runs a statement to its end. A parameter without an argument is NULL.
    pub fn run<S: RowSink>(
        &mut self,
        id: &StatementId,
        arguments: &[ValueRef<'_>],
        sink: &mut S,
    ) -> std::result::Result<(), RunError<S::Refusal>> {
        let statement = self.statement(id).map_err(RunError::Engine)?;
        let running = Running { statement };
        running.bind(arguments).map_err(|code| {
            let message = if code == ffi::SQLITE_RANGE {
                "too many arguments"
            } else {
                "an argument cannot be bound"
            };
            RunError::Engine(Error::new(code, message))
        })?;
        let row = Row {
            statement,
            lifetime: PhantomData,
        };
        let mut code = running.step();
        if matches!(code, ffi::SQLITE_ROW | ffi::SQLITE_DONE) {
            sink.begin(&row);
        }
        while code == ffi::SQLITE_ROW {
            if let Err(refusal) = sink.row(&row) {
                self.undo(&running);
                return Err(RunError::Refused(refusal));
            }
            code = running.step();
        }
        if code == ffi::SQLITE_DONE {
            return Ok(());
        }
        // One that is compiled once tells what went wrong only now.
        running.reset();
        // SAFETY: an open connection.
        Err(RunError::Engine(unsafe { Error::last_of(self.raw) }))
    }

    /// Ends a statement that has rows left. Outside a transaction the engine would commit it at its reset, but undoes what is
    /// interrupted.
    fn undo(&mut self, running: &Running) {
        if self.is_autocommit() {
            // SAFETY: an open connection.
            unsafe { ffi::sqlite3_interrupt(self.raw.as_ptr()) };
            running.step();
        }
    }
}

/// A statement that runs. At its end it is reset, and has none of the arguments any more.
struct Running {
    statement: NonNull<ffi::sqlite3_stmt>,
}

impl Running {
    /// Lends the arguments to the engine, until the end of this.
    fn bind(&self, arguments: &[ValueRef<'_>]) -> std::result::Result<(), c_int> {
        let statement = self.statement.as_ptr();
        for (number, argument) in (1..).zip(arguments) {
            // SAFETY: a statement that was reset. Without a destructor the engine neither copies nor frees a text or bytes, and
            // refers to them until the bindings are cleared, which is before the arguments end.
            let code = unsafe {
                match *argument {
                    ValueRef::Null => ffi::sqlite3_bind_null(statement, number),
                    ValueRef::Integer(integer) => {
                        ffi::sqlite3_bind_int64(statement, number, integer)
                    }
                    ValueRef::Real(real) => ffi::sqlite3_bind_double(statement, number, real),
                    ValueRef::Text(text) => ffi::sqlite3_bind_text64(
                        statement,
                        number,
                        text.as_ptr().cast(),
                        text.len() as u64,
                        None,
                        ffi::SQLITE_UTF8 as u8,
                    ),
                    ValueRef::Blob(bytes) => ffi::sqlite3_bind_blob64(
                        statement,
                        number,
                        bytes.as_ptr().cast(),
                        bytes.len() as u64,
                        None,
                    ),
                }
            };
            if code != ffi::SQLITE_OK {
                return Err(code);
            }
        }
        Ok(())
    }

    fn step(&self) -> c_int {
        // SAFETY: a statement of a connection whose `&mut` the caller holds.
        unsafe { ffi::sqlite3_step(self.statement.as_ptr()) }
    }

    fn reset(&self) {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_reset(self.statement.as_ptr()) };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.reset();
        // SAFETY: as above.
        unsafe { ffi::sqlite3_clear_bindings(self.statement.as_ptr()) };
    }
}

impl<'r> Row<'r> {
    /// The number of columns.
    pub fn len(&self) -> usize {
        // SAFETY: a statement that runs while there is a row of it, here and below.
        let count = unsafe { ffi::sqlite3_column_count(self.statement.as_ptr()) };
        usize::try_from(count).unwrap_or_default()
    }

    /// Whether it has no columns, as with a statement that returns no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The column at `index`.
    pub fn column(&self, index: usize) -> Column<'r> {
        let (statement, index) = (self.statement.as_ptr(), column_number(index));
        // SAFETY: the engine answers NULL for an index that is none, and its names live until the statement is compiled anew,
        // which is not while it runs.
        unsafe {
            Column {
                name: text_at(ffi::sqlite3_column_name(statement, index)),
                declared_type: text_at(ffi::sqlite3_column_decltype(statement, index)),
            }
        }
    }

    /// The value of the column at `index`; NULL where there is none.
    pub fn value(&self, index: usize) -> Result<ValueRef<'r>> {
        let (statement, index) = (self.statement.as_ptr(), column_number(index));
        // SAFETY: a value lives until the next step, for which this row must have ended. Its length is asked for after
        // its address, as the engine demands, and is that of the bytes there.
        unsafe {
            Ok(match ffi::sqlite3_column_type(statement, index) {
                ffi::SQLITE_INTEGER => {
                    ValueRef::Integer(ffi::sqlite3_column_int64(statement, index))
                }
                ffi::SQLITE_FLOAT => ValueRef::Real(ffi::sqlite3_column_double(statement, index)),
                ffi::SQLITE_TEXT => {
                    let start = ffi::sqlite3_column_text(statement, index);
                    ValueRef::Text(self.bytes(start, index)?)
                }
                ffi::SQLITE_BLOB => {
                    let start = ffi::sqlite3_column_blob(statement, index);
                    ValueRef::Blob(self.bytes(start.cast(), index)?)
                }
                _ => ValueRef::Null,
            })
        }
    }

    /// # Safety
    /// `start` is the address of the value at `index`, or NULL.
    unsafe fn bytes(&self, start: *const u8, index: c_int) -> Result<&'r [u8]> {
        // SAFETY: as the caller has it.
        unsafe {
            let length = ffi::sqlite3_column_bytes(self.statement.as_ptr(), index);
            match usize::try_from(length).unwrap_or_default() {
                // Bytes that are empty have no address.
                0 if !self.is_out_of_memory() => Ok(&[]),
                length if !start.is_null() => Ok(slice::from_raw_parts(start, length)),
                _ => Err(Error::out_of_memory()),
            }
        }
    }

    /// Whether the last value could not be read for want of memory.
    fn is_out_of_memory(&self) -> bool {
        // SAFETY: as above.
        unsafe {
            let connection = ffi::sqlite3_db_handle(self.statement.as_ptr());
            ffi::sqlite3_errcode(connection) == ffi::SQLITE_NOMEM
        }
    }
}

/// An index as the engine takes it; one that is too large stays too large.
fn column_number(index: usize) -> c_int {
    c_int::try_from(index).unwrap_or(c_int::MAX)
}

/// # Safety
/// `text` is NULL or ends with NUL, and lives for `'r`.
unsafe fn text_at<'r>(text: *const c_char) -> Cow<'r, str> {
    if text.is_null() {
        return Cow::Borrowed("");
    }
    // SAFETY: as the caller has it.
    unsafe { CStr::from_ptr(text) }.to_string_lossy()
}
