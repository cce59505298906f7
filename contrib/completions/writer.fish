complete -c writer -l shm -d 'The log is the POSIX shared memory of this name' -r
complete -c writer -l path -d 'The log is this file' -r -F
complete -c writer -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c writer -l capacity -d 'Slots of a log that is made, a power of two: 4096, 64k, 1M (k is 1024) [default: 1k]' -r
complete -c writer -l wait-for -d 'Make the log lossless: overwrite nothing that these readers have not had, and wait for them instead, also before they come: 0,2' -r
complete -c writer -l absent -d 'What to do about one of these that was there and is gone' -r -f -a "wait\t'Wait for it [default]'
skip\t'Go on without it; it is told what it lost'"
complete -c writer -l mode -d 'Permissions of a log that is made, in octal' -r
complete -c writer -l rate -d 'Entries a second on average, or max' -r
complete -c writer -l count -d 'Stop after so many entries: 5000, 64k, 1M' -r
complete -c writer -l seed -d 'Which made-up market: the same seed makes the same ticks' -r
complete -c writer -l input -d 'Append what is in this file, `-` for stdin, instead of made-up ticks. What does not fit ends it; what comes before that is in the log. A last line without its line end counts only in a regular file' -r -F
complete -c writer -l format -d 'What is in the input. Columns of a CSV are found by the names in its first line, in any case, and others are left out; a body of bytes or msgpack is base64 there' -r -f -a "csv\t'Rows, under a header with the names of the columns'
lines\t'A body a line, without its line end'
jsonl\t'A JSON value a line; blank lines are left out'
frames\t'The length of a body, in four bytes, the lowest first, then the body'"
complete -c writer -l schema -d 'The log\'s columns and their types: name:type,... of u8..u64, i8..i64, f32, f64, bool, timestamp, textN (N bytes), decimalN (N digits after the point); the last may be a body, of any length: text, json, bytes, msgpack. The log\'s own if it exists' -r
complete -c writer -l body -d 'What a body is, text, json, bytes or msgpack: the same as body:KIND at the end of --schema. Lines are text unless this says otherwise, JSON Lines json, frames bytes' -r
complete -c writer -l inline -d 'Bytes of a body that a slot of a log that is made holds: the length of most bodies; longer ones are in the arena [default: what makes a slot of 128 bytes]' -r
complete -c writer -l arena -d 'Bytes of the arena of a log that is made, a power of two from 4k to 4G; a body is at most half of it [default: 8M]' -r
complete -c writer -l delimiter -d 'What is between two fields of the CSV, one character, or tab [default: ,]' -r
complete -c writer -l time-unit -d 'What a time that is a number counts since the Unix epoch, if it is not RFC 3339. Without it, nanoseconds, and none before 1990: they would most likely be of another unit' -r -f -a "s\t'Seconds'
ms\t'Milliseconds'
us\t'Microseconds'
ns\t'Nanoseconds'"
complete -c writer -l from-line -d 'Begin with the first row at or behind this line of the input, as a run says when it ends; of frames, with this frame, counted from 1' -r
complete -c writer -l prefault -d 'Take the page faults of the first lap at the start (what a writer does anyway in shared memory, up to a gigabyte)'
complete -c writer -l no-prefault -d 'Leave the page faults to the first lap, and start at once'
complete -c writer -l lock -d 'Lock the log in memory (mlock): it is never swapped out'
complete -c writer -l no-time -d 'Leave out the column `time` that a log of lines or frames has before the body: the time at which the writer took it'
complete -c writer -l continue -d 'Begin behind what the log has already: for a writer that was killed, of a log that has been filled from this input alone'
complete -c writer -l remove -d 'Remove the log in the end; one that waits for readers, once they have had all of it'
complete -c writer -s q -l quiet -d 'Say nothing but errors'
complete -c writer -s h -l help -d 'Print help (see more with \'--help\')'
complete -c writer -s V -l version -d 'Print version'
