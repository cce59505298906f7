//! The functions of `include/ringlog.h`, which says what each does. Long: it is the whole interface.
//!
//! All that is unsafe is in the first part: the types of arguments that only a caller in C makes, and what
//! a draft borrows. A handle is an `Option<&mut _>`: a pointer that may be NULL, to what an open function gave,
//! used by one thread at a time. A panic ends where it is guarded, with a code.

#![allow(unsafe_code)]

use crate::abi::{self, AppendView, CallOptions, LogOptions, PollView, Positions, Snapshot, code};
use crate::call::{Answer, Caller, Kept, Server};
use crate::last::{self, Result, Why, invalid};
use crate::options::{start, time, wait};
use crate::read::Reader;
use crate::write::Writer;
use bytemuck::Pod;
use ringlog::{Batch, Draft, Entry, Log, Polled, Raw, Reserved};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{NonNull, null, null_mut};
use std::slice::{from_raw_parts, from_raw_parts_mut};

// --- what a caller in C passes ------------------------------------------------------------------

/// A string, or NULL.
#[repr(transparent)]
pub struct Text(*const c_char);

impl Text {
    fn get(&self) -> Option<&CStr> {
        // SAFETY: a caller in C alone makes a `Text`, and the header says that it is NULL or a string, which
        // ends with a NUL and does not change during the call, which this borrow is within.
        (!self.0.is_null()).then(|| unsafe { CStr::from_ptr(self.0) })
    }

    fn name(&self) -> Result<&CStr> {
        self.get().ok_or_else(|| invalid("the name is NULL; pass that of a log, as in \"/quotes\""))
    }
}

/// Bytes to load, or NULL where there are none.
#[repr(transparent)]
pub struct Input(*const c_void);

impl Input {
    /// The bytes, if there are any.
    #[inline]
    fn some(&self, size: usize) -> Option<&[u8]> {
        if size == 0 || !is_whole(self.0.is_null(), size) {
            return None;
        }
        // SAFETY: a caller in C alone makes an `Input`, and the header says that it is the address of as many
        // bytes, which do not change during the call, which this borrow is within.
        Some(unsafe { from_raw_parts(self.0.cast(), size) })
    }

    #[inline]
    fn bytes(&self, size: usize) -> Result<&[u8]> {
        match self.some(size) {
            Some(bytes) => Ok(bytes),
            None => check(self.0.is_null() && size > 0, size).map(|()| &[][..]),
        }
    }
}

/// Bytes to store, or NULL where there are none.
#[repr(transparent)]
pub struct Output(*mut c_void);

impl Output {
    /// The bytes, if there are any.
    #[inline]
    fn some(&mut self, size: usize) -> Option<&mut [u8]> {
        if size == 0 || !is_whole(self.0.is_null(), size) {
            return None;
        }
        // SAFETY: a caller in C alone makes an `Output`, and the header says that it is the address of as many
        // bytes, which are the library's during the call, which this borrow is within. They may not have
        // been stored to yet; the library loads none of them before it has.
        Some(unsafe { from_raw_parts_mut(self.0.cast(), size) })
    }

    fn bytes(&mut self, size: usize) -> Result<&mut [u8]> {
        let is_null = self.0.is_null();
        match self.some(size) {
            Some(bytes) => Ok(bytes),
            None => check(is_null && size > 0, size).map(|()| &mut [][..]),
        }
    }
}

#[inline]
fn is_whole(is_null: bool, size: usize) -> bool {
    !is_null && size <= isize::MAX as usize
}

fn check(is_null: bool, size: usize) -> Result<()> {
    match is_whole(is_null, size) {
        true => Ok(()),
        false if is_null => Err(invalid(format!("NULL is no address of {size} bytes"))),
        false => Err(invalid(format!("{size} bytes are more than memory has"))),
    }
}

/// A place for one value, or NULL.
#[repr(transparent)]
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    #[inline]
    fn set(&mut self, value: T) {
        if !self.0.is_null() {
            // SAFETY: a caller in C alone makes an `Out`, and the header says that it is NULL or the address of
            // a value, which is the library's during the call. What was there is no Rust value to drop.
            unsafe { self.0.write(value) };
        }
    }
}

/// A struct that begins with its size, or NULL: a struct of zeros.
#[repr(transparent)]
pub struct Sized<T>(*const T);

impl<T: Pod> Sized<T> {
    /// What the program said of what this library knows; it may be older, or later and ask for no more.
    fn get(&self) -> Result<T> {
        let mut known = T::zeroed();
        if self.0.is_null() {
            return Ok(known);
        }
        // SAFETY: a caller in C alone makes one, and the header says that it begins with its size, and that
        // it does not change during the call.
        let size = unsafe { self.0.cast::<usize>().read() };
        check_size(size)?;
        // SAFETY: as above: it has `size` bytes, at least those of the size itself.
        let given = unsafe { from_raw_parts(self.0.cast::<u8>(), size) };
        let (begin, rest) = given.split_at(size.min(size_of::<T>()));
        bytemuck::bytes_of_mut(&mut known)[..begin.len()].copy_from_slice(begin);
        match rest.iter().all(|byte| *byte == 0) {
            true => Ok(known),
            false => Err(invalid(format!(
                "options of {size} bytes ask for what libringlog {} does not know; install the library that \
                 the program was compiled for",
                env!("CARGO_PKG_VERSION")
            ))),
        }
    }
}

fn check_size(size: usize) -> Result<()> {
    match (size_of::<usize>()..=1 << 16).contains(&size) {
        true => Ok(()),
        false => Err(invalid(format!(
            "a struct of {size} bytes: set its `size`, as ringlog_options_init does"
        ))),
    }
}

/// A struct to fill in that begins with its size.
#[repr(transparent)]
pub struct Filled<T>(*mut T);

impl<T: Pod> Filled<T> {
    fn fill(&mut self, value: &T) -> Result<()> {
        check(self.0.is_null(), size_of::<T>())?;
        // SAFETY: a caller in C alone makes one, and the header says that it begins with its size.
        let size = unsafe { self.0.cast::<usize>().read() };
        check_size(size)?;
        // SAFETY: as above: it has `size` bytes, which are the library's during the call.
        let to = unsafe { from_raw_parts_mut(self.0.cast::<u8>(), size) };
        let from = bytemuck::bytes_of(value);
        let known = size.min(from.len());
        // Its size stays what the program says.
        to[size_of::<usize>()..known].copy_from_slice(&from[size_of::<usize>()..known]);
        to[known..].fill(0);
        Ok(())
    }
}

/// A place for a handle.
#[repr(transparent)]
pub struct Handle<T>(*mut *mut T);

impl<T> Handle<T> {
    /// Puts what is made there, or NULL.
    fn give(self, make: impl FnOnce() -> Result<T>) -> c_int {
        if self.0.is_null() {
            return invalid("there is no place for the handle: it is NULL").tell();
        }
        let made = guarded(|| make().map(|made| Box::into_raw(Box::new(made))));
        let (handle, told) = match made {
            Ok(handle) => (handle, 0),
            Err(why) => (null_mut(), why.tell()),
        };
        // SAFETY: a caller in C alone makes one, and the header says that it is the address of a handle, which
        // is the library's during the call.
        unsafe { self.0.write(handle) };
        told
    }

    /// Takes what is there, and leaves NULL.
    fn take(self) -> Option<Box<T>> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: as above; and the handle in it is NULL or what `give` or `kept` made of a box and nothing
        // has taken since, for whoever takes it leaves NULL, and the header says that nobody has a copy.
        let handle = unsafe { self.0.replace(null_mut()) };
        // SAFETY: as above.
        (!handle.is_null()).then(|| unsafe { Box::from_raw(handle) })
    }
}

/// A writer, and the draft that has it meanwhile.
pub struct Appends {
    /// Dropped before the writer that it borrows.
    making: Option<Making>,
    /// The position that what is made will have.
    made_at: u64,
    writer: NonNull<Writer>,
}

enum Making {
    Draft(Draft<'static, Raw>),
    Reserved(Reserved<'static, Raw>),
}

impl Appends {
    fn of(writer: Writer) -> Appends {
        Appends { making: None, made_at: 0, writer: NonNull::from(Box::leak(Box::new(writer))) }
    }

    /// The writer, while no draft has it.
    #[inline]
    fn idle(&mut self) -> Option<&mut Writer> {
        if self.making.is_some() {
            return None;
        }
        // SAFETY: it is the box of `of`, which is freed when this is dropped. Nothing else borrows it: a draft
        // would, and there is none; and this borrows `self`.
        Some(unsafe { self.writer.as_mut() })
    }

    #[inline]
    fn writer(&mut self) -> Result<&mut Writer> {
        self.idle().ok_or_else(is_drafting)
    }

    /// Begins a draft, which has the writer until it is taken out of `making`.
    fn begin(
        &mut self,
        make: impl FnOnce(&'static mut Writer) -> Result<Making>,
    ) -> Result<&mut Making> {
        self.made_at = self.writer()?.position();
        // SAFETY: as in `idle`. It lives as long as the draft, which is dropped before it; and `make` is one of
        // two in this file, which put the borrow nowhere else.
        let writer = unsafe { self.writer.as_mut() };
        let made = make(writer)?;
        Ok(self.making.insert(made))
    }

    fn position(&self) -> u64 {
        if self.making.is_some() {
            return self.made_at;
        }
        // SAFETY: as in `idle`.
        unsafe { self.writer.as_ref() }.position()
    }
}

impl Drop for Appends {
    fn drop(&mut self) {
        self.making = None;
        // SAFETY: it is the box of `of`, and nothing borrows it any more.
        drop(unsafe { Box::from_raw(self.writer.as_ptr()) });
    }
}

#[cold]
fn is_drafting() -> Why {
    invalid("a draft is under way; publish or discard it first")
}

// --- what a caller in C is told -----------------------------------------------------------------

#[inline]
fn guarded<T>(action: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(action)).unwrap_or(Err(Why::Panic))
}

/// A position, a count, or a code.
#[inline]
fn counted(action: impl FnOnce() -> Result<u64>) -> i64 {
    match guarded(action) {
        Ok(count) => i64::try_from(count).unwrap_or(i64::MAX),
        Err(why) => why.tell().into(),
    }
}

/// 0, or a code.
fn done(action: impl FnOnce() -> Result<()>) -> c_int {
    told(|| action().map(|()| 0))
}

/// A small number, or a code.
#[inline]
fn told(action: impl FnOnce() -> Result<c_int>) -> c_int {
    guarded(action).unwrap_or_else(Why::tell)
}

#[inline]
fn given<T>(handle: Option<T>) -> Result<T> {
    handle.ok_or_else(|| invalid("the handle is NULL: it was not opened, or is closed"))
}

#[inline]
fn appends(handle: Option<&mut Appends>) -> Result<&mut Writer> {
    given(handle)?.writer()
}

// --- the library --------------------------------------------------------------------------------

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_abi_version() -> u32 {
    abi::ABI
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_last_error() -> *const c_char {
    last::text()
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_last_full(mut to: Out<abi::Full>) -> c_int {
    match last::full() {
        Some(full) => {
            to.set((&full).into());
            1
        }
        None => 0,
    }
}

// --- logs ---------------------------------------------------------------------------------------

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_create(name: Text, schema: Text, options: Sized<LogOptions>) -> c_int {
    done(|| {
        let options = options.get()?;
        let schema = schema.get().ok_or_else(|| {
            invalid("the schema is NULL; pass the columns, as in \"time:timestamp,price:f64\"")
        })?;
        let schema = options.schema(schema)?;
        options.options()?.create_with(options.name(name.name()?)?, &schema)?;
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_remove(name: Text, options: Sized<LogOptions>) -> c_int {
    done(|| Ok(Log::remove(options.get()?.name(name.name()?)?)?))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_unlink(name: Text, options: Sized<LogOptions>) -> c_int {
    done(|| Ok(Log::unlink(options.get()?.name(name.name()?)?)?))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_stat(
    name: Text,
    options: Sized<LogOptions>,
    mut snapshot: Filled<Snapshot>,
) -> c_int {
    done(|| {
        let options = options.get()?;
        let log = options.options()?.open(options.name(name.name()?)?)?;
        snapshot.fill(&Snapshot::of(&log)?)
    })
}

/// Opens a log, and refuses one that has another schema.
fn opened(name: &Text, schema: &Text, options: &LogOptions) -> Result<Log> {
    let log = options.options()?.open(options.name(name.name()?)?)?;
    let ours = schema.get().map(|schema| options.schema(schema)).transpose()?;
    match ours.and_then(|ours| log.schema().refusal(ours)) {
        Some(why) => Err(ringlog::Error::Schema { log: log.name().to_string(), why }.into()),
        None => Ok(log),
    }
}

// --- to append ----------------------------------------------------------------------------------

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_writer_open(
    name: Text,
    schema: Text,
    options: Sized<LogOptions>,
    out: Handle<Appends>,
) -> c_int {
    out.give(|| {
        let options = options.get()?;
        let log = match schema.get() {
            Some(schema) => {
                let schema = options.schema(schema)?;
                options.options()?.open_or_create_with(options.name(name.name()?)?, &schema)?
            }
            None => opened(&name, &schema, &options)?,
        };
        Writer::of(&log).map(Appends::of)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_writer_close(writer: Handle<Appends>) {
    done(|| {
        drop(writer.take());
        Ok(())
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_append(
    mut writer: Option<&mut Appends>,
    record: Input,
    size: usize,
) -> i64 {
    match quickly(&mut writer, &record, size, Writer::append_record) {
        Some(position) => position,
        None => append_slowly(writer, record, size),
    }
}

#[cold]
#[inline(never)]
fn append_slowly(writer: Option<&mut Appends>, record: Input, size: usize) -> i64 {
    counted(|| appends(writer)?.append(record.bytes(size)?.into()))
}

/// Appends a record where nothing is in the way; `None`: why, the long way tells.
#[inline]
fn quickly(
    writer: &mut Option<&mut Appends>,
    record: &Input,
    size: usize,
    append: impl FnOnce(&mut Writer, &[u8]) -> Option<u64>,
) -> Option<i64> {
    let (writer, record) = (writer.as_mut()?.idle()?, record.some(size)?);
    append(writer, record).map(|position| position as i64)
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_append_body(
    writer: Option<&mut Appends>,
    record: Input,
    size: usize,
    body: Input,
    length: usize,
) -> i64 {
    counted(|| {
        let entry = Entry { columns: record.bytes(size)?, body: body.bytes(length)? };
        appends(writer)?.append(entry)
    })
}

/// The bytes of so many records.
fn all(size: usize, count: usize) -> Result<usize> {
    size.checked_mul(count)
        .ok_or_else(|| invalid(format!("{count} records of {size} bytes are more than memory has")))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_append_batch(
    writer: Option<&mut Appends>,
    records: Input,
    size: usize,
    count: usize,
) -> i64 {
    counted(|| appends(writer)?.append_batch(records.bytes(all(size, count)?)?, size))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_try_append(
    mut writer: Option<&mut Appends>,
    record: Input,
    size: usize,
    body: Input,
    length: usize,
) -> i64 {
    if length == 0
        && let Some(position) = quickly(&mut writer, &record, size, Writer::try_append_record)
    {
        return position;
    }
    counted(|| {
        let entry = Entry { columns: record.bytes(size)?, body: body.bytes(length)? };
        appends(writer)?.try_append(entry)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_try_append_batch(
    writer: Option<&mut Appends>,
    records: Input,
    size: usize,
    count: usize,
) -> i64 {
    counted(|| appends(writer)?.try_append_batch(records.bytes(all(size, count)?)?, size))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_append_timeout(
    writer: Option<&mut Appends>,
    record: Input,
    size: usize,
    body: Input,
    length: usize,
    how: c_int,
    at_most_ns: u64,
) -> i64 {
    counted(|| {
        let entry = Entry { columns: record.bytes(size)?, body: body.bytes(length)? };
        appends(writer)?.append_timeout(entry, wait(how as u32)?, time(at_most_ns))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_room(writer: Option<&mut Appends>) -> i64 {
    counted(|| Ok(appends(writer)?.room()?.unwrap_or(u64::MAX)))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_draft(writer: Option<&mut Appends>) -> c_int {
    done(|| {
        given(writer)?.begin(|writer| writer.draft().map(Making::Draft))?;
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_write(
    writer: Option<&mut Appends>,
    bytes: Input,
    length: usize,
) -> c_int {
    done(|| match &mut given(writer)?.making {
        Some(Making::Draft(draft)) => {
            draft.write_all(bytes.bytes(length)?).map_err(|error| match draft.full() {
                Some(full) => Why::Full(full),
                None => invalid(error.to_string()),
            })
        }
        _ => Err(invalid("there is no draft to write to; begin one with ringlog_draft")),
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reserve(
    writer: Option<&mut Appends>,
    length: usize,
    how: c_int,
    at_most_ns: u64,
    mut bytes: Out<*mut c_void>,
) -> c_int {
    done(|| {
        bytes.set(null_mut());
        let (how, at_most) = (wait(how as u32)?, time(at_most_ns));
        let making = given(writer)?
            .begin(|writer| writer.reserve(length, how, at_most).map(Making::Reserved))?;
        if let Making::Reserved(reserved) = making {
            bytes.set(reserved.as_mut_ptr().cast());
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_publish(
    writer: Option<&mut Appends>,
    record: Input,
    size: usize,
    from: usize,
    to: usize,
) -> i64 {
    counted(|| {
        let (handle, columns) = (given(writer)?, record.bytes(size)?);
        let position = match handle.making.take() {
            Some(Making::Draft(draft)) => {
                let to = if to == usize::MAX { draft.len() } else { to };
                draft.publish(columns, from..to)?
            }
            Some(Making::Reserved(reserved)) => {
                let to = if to == usize::MAX { reserved.len() } else { to };
                reserved.publish(columns, from..to)?
            }
            None => {
                return Err(invalid(
                    "there is nothing to publish; begin with ringlog_draft or ringlog_reserve",
                ));
            }
        };
        handle.writer()?.settle();
        Ok(position)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_discard(writer: Option<&mut Appends>) {
    if let Some(handle) = writer {
        handle.making = None;
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_wake(writer: Option<&mut Appends>) {
    if let Ok(writer) = appends(writer) {
        writer.wake();
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_writer_position(writer: Option<&Appends>) -> u64 {
    writer.map_or(0, Appends::position)
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_last(
    writer: Option<&mut Appends>,
    mut record: Output,
    size: usize,
) -> c_int {
    told(|| Ok(appends(writer)?.last(record.bytes(size)?)?.into()))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_heartbeat(writer: Option<&mut Appends>) {
    if let Ok(writer) = appends(writer) {
        writer.heartbeat();
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_sync(writer: Option<&mut Appends>) -> c_int {
    done(|| appends(writer)?.sync())
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_writer_view(writer: Option<&mut Appends>) -> *const AppendView {
    appends(writer).ok().and_then(|writer| writer.view()).map_or(null(), |view| view)
}

// --- to read ------------------------------------------------------------------------------------

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reader_open(
    name: Text,
    id: u32,
    schema: Text,
    options: Sized<LogOptions>,
    out: Handle<Reader>,
) -> c_int {
    out.give(|| {
        let options = options.get()?;
        Reader::of(&opened(&name, &schema, &options)?, Some(id), options.start()?)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_observer_open(
    name: Text,
    schema: Text,
    options: Sized<LogOptions>,
    out: Handle<Reader>,
) -> c_int {
    out.give(|| {
        let options = options.get()?;
        Reader::of(&opened(&name, &schema, &options)?, None, options.start()?)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reader_close(reader: Handle<Reader>) {
    done(|| {
        drop(reader.take());
        Ok(())
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_poll(
    reader: Option<&mut Reader>,
    mut records: Output,
    size: usize,
    most: usize,
    mut range: Out<Positions>,
) -> i64 {
    let Some(reader) = reader else { return refused(|| given(None)) };
    let Some(records) = all(size, most).ok().and_then(|bytes| records.some(bytes)) else {
        return refused(|| records.bytes(all(size, most)?).map(|_| 0));
    };
    if !reader.has_records(size) {
        return refused(|| Err(reader.refusal(size)));
    }
    match reader.poll(records) {
        Batch::Entries(positions) => {
            let count = positions.end - positions.start;
            range.set(positions.into());
            count as i64
        }
        Batch::Empty => 0,
        Batch::Lost(positions) => {
            range.set(positions.into());
            code::LOST.into()
        }
    }
}

/// A code, of what is found to be wrong again.
#[cold]
#[inline(never)]
fn refused(why: impl FnOnce() -> Result<u64>) -> i64 {
    counted(why)
}

fn polled(
    polled: Result<Polled<abi::Entry>>,
    mut entry: Out<abi::Entry>,
    mut lost: Out<Positions>,
) -> c_int {
    match polled {
        Ok(Polled::Entry { record, .. }) => {
            entry.set(record);
            1
        }
        Ok(Polled::Empty) => 0,
        Ok(Polled::Lost(range)) => {
            lost.set(range.into());
            code::LOST
        }
        Err(why) => why.tell(),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_poll_entry(
    reader: Option<&mut Reader>,
    entry: Out<abi::Entry>,
    lost: Out<Positions>,
) -> c_int {
    polled(guarded(|| Ok(given(reader)?.poll_entry())), entry, lost)
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_latest(reader: Option<&mut Reader>, entry: Out<abi::Entry>) -> c_int {
    polled(guarded(|| given(reader)?.latest()), entry, Out(null_mut()))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reader_wait(
    reader: Option<&mut Reader>,
    how: c_int,
    at_most_ns: u64,
) -> c_int {
    told(|| Ok(given(reader)?.wait(wait(how as u32)?, time(at_most_ns)).into()))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_commit(reader: Option<&mut Reader>) -> c_int {
    done(|| given(reader)?.durable(ringlog::Reader::commit))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_release(reader: Option<&mut Reader>) -> c_int {
    done(|| given(reader)?.durable(ringlog::Reader::release))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_release_when_due(reader: Option<&mut Reader>) -> c_int {
    told(|| Ok(given(reader)?.durable(ringlog::Reader::release_when_due)?.into()))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_seek(reader: Option<&mut Reader>, to: c_int, at: u64) -> c_int {
    done(|| given(reader)?.seek(start(to as u32, at)?))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reader_position(reader: Option<&Reader>) -> u64 {
    reader.map_or(0, Reader::position)
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reader_lag(reader: Option<&Reader>) -> u64 {
    reader.map_or(0, Reader::lag)
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reader_lost(reader: Option<&Reader>) -> u64 {
    reader.map_or(0, Reader::lost)
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_has_writer(reader: Option<&Reader>) -> c_int {
    told(|| Ok(given(reader)?.has_writer().into()))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reader_schema(reader: Option<&Reader>) -> *const c_char {
    reader.map_or(null(), |reader| reader.schema().as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reader_record_size(reader: Option<&Reader>) -> usize {
    reader.map_or(0, Reader::record_size)
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reader_view(reader: Option<&Reader>) -> *const PollView {
    reader.and_then(Reader::view).map_or(null(), |view| view)
}

// --- calls: the caller's end --------------------------------------------------------------------

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_connect(
    name: Text,
    options: Sized<CallOptions>,
    at_most_ns: u64,
    out: Handle<Caller>,
) -> c_int {
    out.give(|| {
        let options = options.get()?;
        Caller::connect(options.name(name.name()?)?, &options, time(at_most_ns))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_client_close(client: Handle<Caller>) {
    done(|| {
        drop(client.take());
        Ok(())
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_call(
    client: Option<&mut Caller>,
    method: u32,
    request: Input,
    length: usize,
    timeout_ns: u64,
    mut answer: Out<abi::Bytes>,
) -> c_int {
    let mut bytes = abi::Bytes::NONE;
    let called =
        done(|| given(client)?.call(method, request.bytes(length)?, time(timeout_ns), &mut bytes));
    answer.set(bytes);
    called
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_send(
    client: Option<&mut Caller>,
    method: u32,
    request: Input,
    length: usize,
    timeout_ns: u64,
) -> i64 {
    counted(|| given(client)?.send(method, request.bytes(length)?, time(timeout_ns)))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_wait_for(
    client: Option<&mut Caller>,
    ticket: i64,
    mut answer: Out<abi::Bytes>,
) -> c_int {
    let mut bytes = abi::Bytes::NONE;
    let called = done(|| given(client)?.wait_for(ticket as u64, &mut bytes));
    answer.set(bytes);
    called
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_receive(
    client: Option<&mut Caller>,
    at_most_ns: u64,
    mut code: Out<c_int>,
    mut answer: Out<abi::Bytes>,
) -> i64 {
    let mut bytes = abi::Bytes::NONE;
    let received = guarded(|| Ok(given(client)?.receive(time(at_most_ns), &mut bytes)));
    let (ticket, told) = match received {
        Ok(Some((ticket, answered))) => (ticket as i64, answered.map_or_else(Why::tell, |()| 0)),
        Ok(None) => (-1, code::NO_ANSWER),
        Err(why) => (-1, why.tell()),
    };
    code.set(told);
    answer.set(bytes);
    ticket
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_forget(client: Option<&mut Caller>, ticket: i64) {
    if let Some(client) = client {
        client.forget(ticket as u64);
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_has_server(client: Option<&Caller>) -> c_int {
    told(|| Ok(given(client)?.has_server().into()))
}

// --- calls: the server's end --------------------------------------------------------------------

/// `ringlog_handler`, or NULL.
pub type Handler = Option<extern "C" fn(*mut c_void, &abi::Request, &mut Answer<'_>) -> c_int>;

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_serve(
    name: Text,
    options: Sized<CallOptions>,
    out: Handle<Server>,
) -> c_int {
    out.give(|| {
        let options = options.get()?;
        Server::serve(options.name(name.name()?)?, &options)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_service_close(service: Handle<Server>) {
    done(|| {
        drop(service.take());
        Ok(())
    });
}

fn handler(
    handler: Handler,
) -> Result<extern "C" fn(*mut c_void, &abi::Request, &mut Answer<'_>) -> c_int> {
    handler.ok_or_else(|| invalid("the handler is NULL"))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_service_poll(
    service: Option<&Server>,
    run: Handler,
    context: *mut c_void,
) -> i64 {
    counted(|| {
        let (service, run) = (given(service)?, handler(run)?);
        Ok(service.poll(&mut |request, answer| run(context, request, answer)) as u64)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_service_wait(
    service: Option<&Server>,
    how: c_int,
    at_most_ns: u64,
) -> c_int {
    done(|| {
        given(service)?.wait(wait(how as u32)?, time(at_most_ns));
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_service_run(
    service: Option<&Server>,
    how: c_int,
    run: Handler,
    context: *mut c_void,
) -> c_int {
    done(|| {
        let (service, how, run) = (given(service)?, wait(how as u32)?, handler(run)?);
        service.run(how, &mut |request, answer| run(context, request, answer));
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_service_stop(service: Option<&Server>) {
    if let Some(service) = service {
        service.stop();
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reply_send(
    reply: Option<&mut Answer<'_>>,
    answer: Input,
    length: usize,
) -> c_int {
    done(|| given(reply)?.send(answer.bytes(length)?))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reply_write(
    reply: Option<&mut Answer<'_>>,
    bytes: Input,
    length: usize,
) -> c_int {
    done(|| given(reply)?.write(bytes.bytes(length)?))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reply_flush(reply: Option<&mut Answer<'_>>) -> c_int {
    done(|| given(reply)?.flush())
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reply_fail(
    reply: Option<&mut Answer<'_>>,
    why: Input,
    length: usize,
) -> c_int {
    let kept = guarded(|| {
        given(reply)?.fail(why.bytes(length)?);
        Ok(())
    });
    kept.map_or_else(Why::tell, |()| code::FAILED)
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reply_is_wanted(reply: Option<&mut Answer<'_>>) -> c_int {
    told(|| Ok(given(reply)?.is_wanted().into()))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_reply_defer(reply: Option<&mut Answer<'_>>) -> *mut Kept {
    let kept = guarded(|| Ok(Box::into_raw(Box::new(given(reply)?.defer()))));
    kept.unwrap_or_else(|why| {
        why.tell();
        null_mut()
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_deferred_request(
    deferred: Option<&Kept>,
    mut request: Out<abi::Request>,
) {
    if let Some(kept) = deferred {
        request.set(kept.request());
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_deferred_is_wanted(deferred: Option<&Kept>) -> c_int {
    told(|| Ok(given(deferred)?.is_wanted().into()))
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_deferred_answer(deferred: Handle<Kept>, answer: Input, length: usize) {
    done(|| {
        let answer = answer.bytes(length)?;
        given(deferred.take())?.answer(answer);
        Ok(())
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn ringlog_deferred_fail(deferred: Handle<Kept>, why: Input, length: usize) {
    done(|| {
        let why = why.bytes(length)?;
        given(deferred.take())?.fail(why);
        Ok(())
    });
}
