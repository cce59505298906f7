//! Requests that are written piece by piece, and answers that are read piece by piece.

use crate::client::{Client, Patience, Ticket, Upload};
use crate::error::CallError;
use ringlog::BodyForm;
use std::io::{self, Read, Write};
use std::time::Duration;

impl<B: BodyForm> Client<B> {
    /// Begins a request that is written piece by piece: [`write`](Client::write), then
    /// [`finish`](Client::finish). Several can be under way at once.
    pub fn upload(&mut self, method: u32, timeout: Duration) -> Upload {
        self.begin(method, timeout)
    }

    /// Writes a piece of a request. A part is sent as soon as it is full.
    pub fn write<'a>(&'a mut self, upload: &'a mut Upload) -> impl Write + 'a {
        Uploading { client: self, upload }
    }

    /// Sends the rest of a request that was written piece by piece.
    ///
    /// # Errors
    /// Those of [`send`](Client::send).
    pub fn finish(&mut self, mut upload: Upload) -> Result<Ticket, CallError> {
        let rest = std::mem::take(&mut upload.buffer);
        self.append(&mut upload, &rest, false, &mut |_| Ok(())).map(Ticket)
    }

    /// Reads an answer piece by piece, as it comes, however long it is.
    pub fn read(&mut self, ticket: Ticket) -> impl Read + '_ {
        Reading { client: self, ticket, chunk: Vec::new(), at: 0, is_whole: false }
    }
}

struct Uploading<'a, B> {
    client: &'a mut Client<B>,
    upload: &'a mut Upload,
}

impl<B: BodyForm> Write for Uploading<'_, B> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Uploading { client, upload } = self;
        let room = client.part_max() - upload.buffer.len();
        let count = bytes.len().min(room);
        upload.buffer.extend_from_slice(&bytes[..count]);
        if count == room {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut part = std::mem::take(&mut self.upload.buffer);
        if !part.is_empty() {
            self.client
                .append(self.upload, &part, true, &mut |_| Ok(()))
                .map_err(io::Error::other)?;
            part.clear();
        }
        self.upload.buffer = part;
        Ok(())
    }
}

struct Reading<'a, B> {
    client: &'a mut Client<B>,
    ticket: Ticket,
    /// What has come and not been read, from `at` on.
    chunk: Vec<u8>,
    at: usize,
    is_whole: bool,
}

impl<B: BodyForm> Read for Reading<'_, B> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() && !self.is_whole {
            self.next().map_err(io::Error::other)?;
        }
        let count = into.len().min(self.chunk.len() - self.at);
        into[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

impl<B: BodyForm> Reading<'_, B> {
    /// Gets the next part of the answer.
    fn next(&mut self) -> Result<(), CallError> {
        let mut patience = None;
        self.at = 0;
        self.chunk.clear();
        loop {
            let ticket = self.ticket.0;
            if self.client.done.iter().any(|done| done.ticket == ticket) {
                let is_held = self.client.find(self.ticket, &mut |_| Ok(()))?;
                self.chunk = self.client.answer(is_held).to_vec();
                self.is_whole = true;
                return Ok(());
            }
            let pending = self.client.pending.iter_mut().find(|pending| pending.ticket == ticket);
            let Some(pending) = pending else { return Err(CallError::TimedOut) };
            if !pending.parts.is_empty() {
                std::mem::swap(&mut self.chunk, &mut pending.parts);
                pending.is_read = true;
                return Ok(());
            }
            let deadline_ns = pending.deadline_ns;
            if !self.client.keep_next() {
                let wait = self.client.options.wait;
                let patience = patience.get_or_insert_with(|| Patience::new(wait, deadline_ns));
                if let Err(e) = self.client.wait_once(patience, 0, true) {
                    self.client.forget(self.ticket);
                    return Err(e);
                }
            }
        }
    }
}
