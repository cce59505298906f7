complete -c writer -l shm -d 'Name of the log in POSIX shared memory' -r
complete -c writer -l path -d 'Path of the log, if it is a file' -r -F
complete -c writer -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c writer -l capacity -d 'Slots of a new log, a power of two: 4096, 64k, 1M (k is 1024) [default: 1k]' -r
complete -c writer -l wait-for -d 'Make a lossless log, whose writer waits for these readers, as in 0,2' -r
complete -c writer -l absent -d 'What the writer does while one of these readers is gone' -r -f -a "wait\t'Wait for it [default]'
skip\t'Continue without it; it learns what it lost'"
complete -c writer -l mode -d 'Permissions of a new log, in octal' -r
complete -c writer -l rate -d 'Entries a second on average, or max' -r
complete -c writer -l count -d 'Stop after this number of entries: 5000, 64k, 1M' -r
complete -c writer -l seed -d 'Seed of the made-up ticks; the same seed makes the same ticks' -r
complete -c writer -l input -d 'Append the content of this file instead of made-up ticks; `-` is stdin' -r -F
complete -c writer -l format -d 'Format of the input' -r -f -a "csv\t'Rows under a header with the names of the columns'
lines\t'A body per line, without its line end'
jsonl\t'A JSON value per line; blank lines are skipped'
frames\t'The length of a body in four bytes, little-endian, then the body'"
complete -c writer -l schema -d 'Columns of a new log and their types, as name:type,...' -r
complete -c writer -l body -d 'Kind of the body: text, json, bytes or msgpack' -r
complete -c writer -l inline -d 'Bytes of a body that each slot of a new log holds' -r
complete -c writer -l arena -d 'Bytes of the arena of a new log, a power of two from 4k to 4G [default: 8M]' -r
complete -c writer -l delimiter -d 'Delimiter of the CSV: one character, or tab [default: ,]' -r
complete -c writer -l time-unit -d 'Unit of times that are numbers, counted from the Unix epoch' -r -f -a "s\t'Seconds'
ms\t'Milliseconds'
us\t'Microseconds'
ns\t'Nanoseconds'"
complete -c writer -l from-line -d 'Begin with the first row at or after this line of the input' -r
complete -c writer -l prefault -d 'Take the page faults of the first lap at the start'
complete -c writer -l no-prefault -d 'Start at once, and take the page faults during the first lap'
complete -c writer -l lock -d 'Lock the log in memory (mlock), so that it is never swapped out'
complete -c writer -l no-time -d 'Leave out the column `time` of a log of lines or frames'
complete -c writer -l continue -d 'Begin after the rows that the log already has'
complete -c writer -l remove -d 'Remove the log at the end; if it is lossless, once its readers have all of it'
complete -c writer -s q -l quiet -d 'Print nothing but errors'
complete -c writer -s h -l help -d 'Print help (see more with \'--help\')'
complete -c writer -s V -l version -d 'Print version'
