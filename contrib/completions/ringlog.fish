# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ringlog_global_optspecs
    string join \n h/help V/version
end

function __fish_ringlog_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ringlog_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ringlog_using_subcommand
    set -l cmd (__fish_ringlog_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ringlog -n "__fish_ringlog_needs_command" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_needs_command" -s V -l version -d 'Print version'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "list" -d 'The logs on this machine: those in shared memory, and those in directories given'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "stat" -d 'A log, its writer and its readers: who is behind, since when, and what was lost'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "top" -d 'The same, live, on the full screen: a line per reader, with a bar of its headroom'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "metrics" -d 'The metrics of logs, their writers and their readers, for Prometheus'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "tail" -d 'The last entries of a log, and those that come'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "dump" -d 'The entries of a log, or some of them'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "copy" -d 'Copy a log, also while its writer is at work, into a file'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "verify" -d 'Look at every word of a log, and at files of its rows, and say what is wrong where'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "page" -d 'A page of what a log, its writer and its readers did for a while: for one who was not there'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "schema" -d 'What the entries of a log are made of'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "reader" -d 'Put a reader elsewhere in its log, or let the writer go on without it'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "rm" -d 'Remove logs, unless a living process holds a claim on them, or a reader has entries to come'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "call" -d 'Call a service once, and print its answer'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "serve" -d 'Serve calls: echo each, or have a command answer it'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "sequence" -d 'Append the entries of a topic to one log, by time, each once'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "doctor" -d 'What of this machine, its limits and its logs would hurt, each with a cure'
complete -c ringlog -n "__fish_ringlog_using_subcommand list" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand list" -l json -d 'One JSON object a log'
complete -c ringlog -n "__fish_ringlog_using_subcommand list" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand stat" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand stat" -l watch -d 'Look again and again, so often: 1s, 200ms' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand stat" -l json -d 'One JSON object a log; all times in seconds, or in ns since the Unix epoch'
complete -c ringlog -n "__fish_ringlog_using_subcommand stat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand top" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand top" -l every -d 'How often to look: 1s, 200ms' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand top" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand metrics" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand metrics" -l listen -d 'Serve them at http://ADDRESS/metrics, until INT or TERM. There is no password: take an address other than 127.0.0.1 or [::1] only where everybody may know' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand metrics" -l textfile -d 'Write them to this file, for the node exporter: it reads those that end in .prom' -r -F
complete -c ringlog -n "__fish_ringlog_using_subcommand metrics" -l every -d 'Write it again and again, so often, until INT or TERM: 15s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand metrics" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -s n -l lines -d 'How many; of those that --where is true of' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -l from -d 'Begin here, with all that follow: oldest, newest, a position, or -N for the last N entries' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -s o -l output -d 'How to show them [default: table on a terminal, csv elsewhere]' -r -f -a "table\t'Aligned, for the eye'
csv\t'As `reporter` writes it'
jsonl\t'One JSON object a line'"
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -l where -d 'Only those with this: symbol=AAPL, size>=1000, time>-5m (in the last five minutes), body.bids.0.price<189.4 (in JSON or MessagePack). = != < <= > >=, and ~ for a text that contains; of more than one, all must hold' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -l columns -d 'Only these columns, in this order; the position comes first in any case' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -l time -d 'How timestamps are written [default: ns; in a table the time of day, UTC, under its date]' -r -f -a "ns\t'Nanoseconds since the Unix epoch'
rfc3339\t'2026-01-31T09:30:00.123456789Z'"
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -s f -l follow -d 'Go on with those that come'
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l from -d 'Begin here: oldest, a position, or -N for the last N entries' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l to -d 'End before this position' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -s o -l output -d 'How to show them [default: table on a terminal, csv elsewhere]' -r -f -a "table\t'Aligned, for the eye'
csv\t'As `reporter` writes it'
jsonl\t'One JSON object a line'"
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l where -d 'Only those with this: symbol=AAPL, size>=1000, time>-5m (in the last five minutes), body.bids.0.price<189.4 (in JSON or MessagePack). = != < <= > >=, and ~ for a text that contains; of more than one, all must hold' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l columns -d 'Only these columns, in this order; the position comes first in any case' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l time -d 'How timestamps are written [default: ns; in a table the time of day, UTC, under its date]' -r -f -a "ns\t'Nanoseconds since the Unix epoch'
rfc3339\t'2026-01-31T09:30:00.123456789Z'"
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l unsound -d 'Show the entries of a copy that may be mixed of two'
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand copy" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand copy" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand verify" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand verify" -l against -d 'Files that a reporter has written' -r -F
complete -c ringlog -n "__fish_ringlog_using_subcommand verify" -l format -d 'What these hold, if it is not CSV or JSON Lines, which is seen' -r -f -a "raw\t'Each with a line end behind it'
frames\t'Each behind its length'"
complete -c ringlog -n "__fish_ringlog_using_subcommand verify" -l limit -d 'Tell so many findings, and count the others' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand page" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand page" -l for -d 'How long to watch: 60s, 1h' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand page" -l every -d 'How often to look' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand page" -s o -l output -d 'The page, `-` for stdout; one that is there already is replaced when the watch is over' -r -F
complete -c ringlog -n "__fish_ringlog_using_subcommand page" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand schema" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand schema" -l declare -d 'As `writer --schema` takes it'
complete -c ringlog -n "__fish_ringlog_using_subcommand schema" -l rust -d 'As a struct in Rust'
complete -c ringlog -n "__fish_ringlog_using_subcommand schema" -l json -d 'As one JSON object'
complete -c ringlog -n "__fish_ringlog_using_subcommand schema" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and not __fish_seen_subcommand_from set release" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and not __fish_seen_subcommand_from set release" -a "set" -d 'Where the reader is to go on'
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and not __fish_seen_subcommand_from set release" -a "release" -d 'Let a gate of a lossless log off for good: its writer waits for that reader no more'
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and __fish_seen_subcommand_from set" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and __fish_seen_subcommand_from release" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and __fish_seen_subcommand_from release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand rm" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand rm" -l force -d 'Also if a reader has entries to come, which are gone then; if somebody holds a claim, or it is too damaged to tell. Those attached go on with what they have, and nobody else finds it: new readers and writers begin with another log'
complete -c ringlog -n "__fish_ringlog_using_subcommand rm" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand call" -l method -d 'The number of what is asked for' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand call" -l body -d 'What is sent' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand call" -l file -d 'What is sent is in this file, `-` is stdin' -r -F
complete -c ringlog -n "__fish_ringlog_using_subcommand call" -l timeout -d 'How long to wait for the service and for its answer' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand call" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand call" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l exec -d 'Have the shell run this for each call' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l lanes -d 'How many clients there can be at a time [default: 16]' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l workers -d 'How many commands run at a time' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l record -d 'Wait for `reporter N --topic SERVICE` too, which exports each call' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l body -d 'What is in requests and answers: bytes, text, json, msgpack' -r -f -a "bytes\t''
text\t''
json\t''
msgpack\t''"
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l echo -d 'Answer with what was sent'
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l repeat -d 'Run again what a server died over; without it, its caller is told'
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l into -d 'The log to append to' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l reader -d 'Which of the eight readers of the topic\'s logs to be' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l hold -d 'How long an entry waits for older ones of other writers, at most' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l capacity -d 'Slots of the log, if it is made: a power of two' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l wait-for -d 'Make a log whose writer waits for this reader' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l once -d 'Append what is there, then stop'
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand doctor" -l owner -d 'Believe a log that belongs to this user (name or id), not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand doctor" -l json -d 'One JSON object a finding'
complete -c ringlog -n "__fish_ringlog_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
