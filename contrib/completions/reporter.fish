complete -c reporter -l shm -d 'Name of the log in POSIX shared memory' -r
complete -c reporter -l path -d 'Path of the log, if it is a file' -r -F
complete -c reporter -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c reporter -l topic -d 'Export each log of this topic or service to a file of its own' -r
complete -c reporter -s o -l output -d 'File to write; `-` is stdout [default: output_N.csv]' -r -F
complete -c reporter -l format -d 'Format of the rows' -r -f -a "csv\t'A header `seq,<columns>`, then a line per entry'
jsonl\t'JSON Lines, an object per entry: {"seq":12,"price":189.4500}'
raw\t'Each body with a line end after it, for `writer --format lines`'
frames\t'Each body after its length, 32 bits little-endian, for `writer --format frames`'"
complete -c reporter -l bytes -d 'How a CSV shows bodies of bytes and of MessagePack' -r -f -a "base64\t'YWJj'
hex\t'616263'"
complete -c reporter -l rotate -d 'Start a new file at this size (100M, 1G) or age (10m, 1h, 1d)' -r
complete -c reporter -l compress -d 'Compress the files that --rotate has finished' -r -f -a "zstd\t'To FILE.zst'
gz\t'To FILE.gz'"
complete -c reporter -l idle -d 'What to do while there is nothing new' -r -f -a "spin\t'Poll without a pause: one core for the lowest latency'
yield\t'Spin for a moment, then yield to other threads'
adaptive\t'Spin, then yield, then sleep, each time twice as long, up to --poll'
sleep\t'Sleep for --poll'
block\t'Spin for a moment, then sleep until the writer wakes it, at most --poll'"
complete -c reporter -l poll -d 'Longest sleep between polls [default: 1ms; 10ms with --idle block]' -r
complete -c reporter -l count -d 'Stop after this number of rows: 5000, 64k, 1M' -r
complete -c reporter -l from -d 'Where to begin: resume, oldest, newest, a position, or -N (the last N)' -r
complete -c reporter -l time -d 'Format of timestamps' -r -f -a "ns\t'Nanoseconds since the Unix epoch'
rfc3339\t'2026-01-31T09:30:00.123456789Z'"
complete -c reporter -l flush -d 'Longest time until a row is written: 10, 250ms' -r
complete -c reporter -l prefault -d 'Take the page faults of the first lap at the start'
complete -c reporter -l no-prefault -d 'Start at once, and take the page faults during the first lap'
complete -c reporter -l lock -d 'Lock the log in memory (mlock), so that it is never swapped out'
complete -c reporter -l spin -d 'Short for --idle spin'
complete -c reporter -l once -d 'Export what this reader has not committed yet, then stop'
complete -c reporter -l to-end -d 'Stop once the writer has closed the log and all of it is exported'
complete -c reporter -l fsync -d 'Sync the output before each commit, so that it survives a machine crash'
complete -c reporter -l strict -d 'Exit with 3 if entries were lost'
complete -c reporter -l no-wait -d 'Fail if the log does not exist yet, instead of waiting for it'
complete -c reporter -s q -l quiet -d 'Print nothing but losses and errors'
complete -c reporter -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reporter -s V -l version -d 'Print version'
