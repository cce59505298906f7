complete -c reporter -l shm -d 'The log is the POSIX shared memory of this name' -r
complete -c reporter -l path -d 'The log is this file' -r -F
complete -c reporter -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c reporter -l topic -d 'Export each log of this topic or service to a file of its own: output_N-0.csv, output_N-0.req.csv' -r
complete -c reporter -s o -l output -d 'The file to write, `-` for stdout [default: output_N.csv, or .jsonl, .raw, .frames by --format]' -r -F
complete -c reporter -l format -d 'What a row looks like' -r -f -a "csv\t'A header `seq,<columns>`, then a line an entry'
jsonl\t'JSON Lines: an object an entry, {"seq":12,"price":189.4500}'
raw\t'Each body as it is, and a line end: what `writer --format lines` reads'
frames\t'Each body behind its length, 32 bits little-endian: what `writer --format frames` reads'"
complete -c reporter -l bytes -d 'How CSV writes bodies of bytes and of MessagePack' -r -f -a "base64\t'YWJj'
hex\t'616263'"
complete -c reporter -l rotate -d 'Finish the file when it is so large (100M, 1G; a bare number is bytes) or so old (10m, 1h, 1d), and begin the next; both may be given. A finished one has its first position in its name: output_N.000000000012345.csv' -r
complete -c reporter -l compress -d 'Compress the files that --rotate has finished, while it goes on' -r -f -a "zstd\t'To FILE.zst'
gz\t'To FILE.gz'"
complete -c reporter -l idle -d 'What to do while there is nothing new' -r -f -a "spin\t'Look without a pause: one core for the lowest latency'
yield\t'Spin for a moment, then let others run first'
adaptive\t'Spin, then yield, then sleep, each time twice as long, up to --poll'
sleep\t'Sleep for --poll'
block\t'Spin for a moment, then sleep until the writer wakes it (the program `writer` does; an engine has to call `wake`), at most for --poll'"
complete -c reporter -l poll -d 'How long to sleep at most when there is nothing new: 1ms, 50us; a bare number is milliseconds [default: 1ms; 10ms with --idle block]' -r
complete -c reporter -l count -d 'Stop after so many rows: 5000, 64k, 1M' -r
complete -c reporter -l from -d 'Where to begin: resume, oldest, newest, a position, or -N for the last N entries' -r
complete -c reporter -l time -d 'How timestamps are written' -r -f -a "ns\t'Nanoseconds since the Unix epoch'
rfc3339\t'2026-01-31T09:30:00.123456789Z'"
complete -c reporter -l flush -d 'How long a row may wait to be written: 10, 250ms; a bare number is milliseconds' -r
complete -c reporter -l prefault -d 'Take the page faults of the first lap at the start (what a writer does anyway in shared memory, up to a gigabyte)'
complete -c reporter -l no-prefault -d 'Leave the page faults to the first lap, and start at once'
complete -c reporter -l lock -d 'Lock the log in memory (mlock): it is never swapped out'
complete -c reporter -l spin -d 'The same as --idle spin'
complete -c reporter -l once -d 'Carry out what this reader has not had yet, then stop (implies --no-wait)'
complete -c reporter -l to-end -d 'Stop once the writer has closed the log in order and all of it is carried out. A writer that was killed is waited for'
complete -c reporter -l fsync -d 'Sync the output before the read pointer moves, so that it survives the machine'
complete -c reporter -l strict -d 'Exit with 3 if entries were lost'
complete -c reporter -l no-wait -d 'Fail if the log is not there yet, instead of waiting for it'
complete -c reporter -s q -l quiet -d 'Say nothing but losses and errors'
complete -c reporter -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reporter -s V -l version -d 'Print version'
