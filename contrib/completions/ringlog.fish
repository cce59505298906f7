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
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "list" -d 'List the logs in shared memory and in the directories given'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "stat" -d 'Show a log\'s writer and readers: state, lag, headroom and losses'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "top" -d 'Show writers and readers live, full screen'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "metrics" -d 'Export metrics of logs, their writers and readers for Prometheus'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "tail" -d 'Print the last entries of a log, and follow new ones'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "dump" -d 'Print the entries of a log, or a range of them'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "copy" -d 'Copy a log to a file, even while its writer appends'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "verify" -d 'Check every word of a log, and the files exported from it'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "page" -d 'Watch a log for a while, and write a page of what happened'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "schema" -d 'Show the columns of a log'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "reader" -d 'Move a reader to another place in its log, or release a gate'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "rm" -d 'Remove logs that no process holds and every reader has committed'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "call" -d 'Call a service once, and print its answer'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "serve" -d 'Serve calls: echo each request, or run a command for it'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "sequence" -d 'Append the entries of a topic to one log, by time, each once'
complete -c ringlog -n "__fish_ringlog_needs_command" -f -a "doctor" -d 'Check this machine, its limits and its logs, and name a cure for each problem'
complete -c ringlog -n "__fish_ringlog_using_subcommand list" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand list" -l json -d 'Print one JSON object per log'
complete -c ringlog -n "__fish_ringlog_using_subcommand list" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand stat" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand stat" -l watch -d 'Repeat at this interval: 1s, 200ms' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand stat" -l json -d 'Print one JSON object per log'
complete -c ringlog -n "__fish_ringlog_using_subcommand stat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand top" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand top" -l every -d 'How often to refresh: 1s, 200ms' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand top" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand metrics" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand metrics" -l listen -d 'Serve the metrics at http://ADDRESS/metrics until INT or TERM' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand metrics" -l textfile -d 'Write the metrics to this file (*.prom) for the node exporter' -r -F
complete -c ringlog -n "__fish_ringlog_using_subcommand metrics" -l every -d 'Write the file again at this interval, as in 15s, until INT or TERM' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand metrics" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -s n -l lines -d 'Number of entries to print, after --where' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -l from -d 'Begin here: oldest, newest, a position, or -N for the last N entries' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -s o -l output -d 'Format of the entries [default: table on a terminal, csv elsewhere]' -r -f -a "table\t'Aligned columns'
csv\t'As `reporter` writes it'
jsonl\t'One JSON object per line'"
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -l where -d 'Print only entries that match: symbol=AAPL, size>=1000, time>-5m' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -l columns -d 'Print only these columns, in this order' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -l time -d 'Format of timestamps [default: ns; in a table the time of day in UTC]' -r -f -a "ns\t'Nanoseconds since the Unix epoch'
rfc3339\t'2026-01-31T09:30:00.123456789Z'"
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -s f -l follow -d 'Print new entries as they come'
complete -c ringlog -n "__fish_ringlog_using_subcommand tail" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l from -d 'Begin here: oldest, a position, or -N for the last N entries' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l to -d 'End before this position' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -s o -l output -d 'Format of the entries [default: table on a terminal, csv elsewhere]' -r -f -a "table\t'Aligned columns'
csv\t'As `reporter` writes it'
jsonl\t'One JSON object per line'"
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l where -d 'Print only entries that match: symbol=AAPL, size>=1000, time>-5m' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l columns -d 'Print only these columns, in this order' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l time -d 'Format of timestamps [default: ns; in a table the time of day in UTC]' -r -f -a "ns\t'Nanoseconds since the Unix epoch'
rfc3339\t'2026-01-31T09:30:00.123456789Z'"
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -l unsound -d 'Print a copy even if its entries may be a mix of two'
complete -c ringlog -n "__fish_ringlog_using_subcommand dump" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand copy" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand copy" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand verify" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand verify" -l against -d 'Files that a reporter has written' -r -F
complete -c ringlog -n "__fish_ringlog_using_subcommand verify" -l format -d 'Format of these files, if it is not CSV or JSON Lines' -r -f -a "raw\t'Each body with a line end after it'
frames\t'Each body after its length'"
complete -c ringlog -n "__fish_ringlog_using_subcommand verify" -l limit -d 'Print at most N findings, and count the rest' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand page" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand page" -l for -d 'How long to watch: 60s, 1h' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand page" -l every -d 'How often to sample the log' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand page" -s o -l output -d 'File to write; `-` is stdout' -r -F
complete -c ringlog -n "__fish_ringlog_using_subcommand page" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand schema" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand schema" -l declare -d 'Print them as `writer --schema` takes them'
complete -c ringlog -n "__fish_ringlog_using_subcommand schema" -l rust -d 'Print them as a struct in Rust'
complete -c ringlog -n "__fish_ringlog_using_subcommand schema" -l json -d 'Print them as one JSON object'
complete -c ringlog -n "__fish_ringlog_using_subcommand schema" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and not __fish_seen_subcommand_from set release" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and not __fish_seen_subcommand_from set release" -a "set" -d 'Set the position at which a reader resumes'
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and not __fish_seen_subcommand_from set release" -a "release" -d 'Release a gate of a lossless log for good: its writer no longer waits'
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and __fish_seen_subcommand_from set" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and __fish_seen_subcommand_from release" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand reader; and __fish_seen_subcommand_from release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand rm" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand rm" -l force -d 'Remove a log even if it is in use, damaged, or not committed to its end'
complete -c ringlog -n "__fish_ringlog_using_subcommand rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand call" -l method -d 'Number of the method to call' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand call" -l body -d 'Request to send' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand call" -l file -d 'File that holds the request; `-` is stdin' -r -F
complete -c ringlog -n "__fish_ringlog_using_subcommand call" -l timeout -d 'Longest time to wait for the service and its answer' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand call" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand call" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l exec -d 'Run this shell command for each call' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l lanes -d 'Largest number of clients at a time [default: 16]' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l workers -d 'Largest number of commands at a time' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l record -d 'Wait for `reporter N --topic SERVICE` too, which exports each call' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l body -d 'Kind of requests and answers: bytes, text, json, msgpack' -r -f -a "bytes\t''
text\t''
json\t''
msgpack\t''"
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l echo -d 'Answer with the request itself'
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -l repeat -d 'Run a request again if a server died while it had it'
complete -c ringlog -n "__fish_ringlog_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l into -d 'Log to append to' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l reader -d 'Number of the reader of the topic\'s logs, 0 to 7' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l hold -d 'Longest time an entry waits for older ones of other writers' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l capacity -d 'Slots of a new log, a power of two' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l wait-for -d 'Make a log whose writer waits for this reader' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -l once -d 'Append what is there, then stop'
complete -c ringlog -n "__fish_ringlog_using_subcommand sequence" -s h -l help -d 'Print help'
complete -c ringlog -n "__fish_ringlog_using_subcommand doctor" -l owner -d 'Trust logs of this user (name or id) too, not only yours and root\'s' -r
complete -c ringlog -n "__fish_ringlog_using_subcommand doctor" -l json -d 'Print one JSON object per finding'
complete -c ringlog -n "__fish_ringlog_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
