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
complete -c writer -l input -d 'Append the rows of this CSV, `-` for stdin, instead of made-up ticks. Columns are found by the names in its first line, in any case, and others are left out. A row that does not fit ends it; those before it are in the log. A last line without its line end is a row only in a regular file' -r -F
complete -c writer -l schema -d 'The CSV\'s columns and their types: name:type,... of u8..u64, i8..i64, f32, f64, bool, timestamp, textN (N bytes), decimalN (N digits after the point). The log\'s own if it exists' -r
complete -c writer -l delimiter -d 'What is between two fields of the CSV, one character, or tab' -r
complete -c writer -l time-unit -d 'What a time that is a number counts since the Unix epoch, if it is not RFC 3339. Without it, nanoseconds, and none before 1990: they would most likely be of another unit' -r -f -a "s\t'Seconds'
ms\t'Milliseconds'
us\t'Microseconds'
ns\t'Nanoseconds'"
complete -c writer -l from-line -d 'Begin with the first row at or behind this line of the CSV, as a run says when it ends' -r
complete -c writer -l prefault -d 'Take the page faults of the first lap at the start (what a writer does anyway in shared memory, up to a gigabyte)'
complete -c writer -l no-prefault -d 'Leave the page faults to the first lap, and start at once'
complete -c writer -l lock -d 'Lock the log in memory (mlock): it is never swapped out'
complete -c writer -l continue -d 'Begin with the row behind those that the log has: for a writer that was killed, of a log that has been filled from this CSV alone'
complete -c writer -l remove -d 'Remove the log in the end; one that waits for readers, once they have had all of it'
complete -c writer -s q -l quiet -d 'Say nothing but errors'
complete -c writer -s h -l help -d 'Print help (see more with \'--help\')'
complete -c writer -s V -l version -d 'Print version'
